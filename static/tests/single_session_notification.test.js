import { after, describe, expect, test } from "@odoo/hoot";
import { click, queryAllTexts } from "@odoo/hoot-dom";
import { Deferred } from "@odoo/hoot-mock";
import { getService, makeMockEnv, onRpc } from "@web/../tests/web_test_helpers";
import { singleSessionService } from "@op_single_session_login/single_session_service";
import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";
import {
    ALIVE,
    BAD_GATEWAY,
    ENDED,
    LOGIN_PAGE,
    LOGIN_PAGE_BY_ITSELF,
    MESSAGE,
    NONE,
    clickButton,
    comeBack,
    expectNothing,
    expectNotification,
    expireWebsocket,
    fillStorage,
    forgetRequests,
    leftByItself,
    openPage,
    pass,
    refuseCall,
    serverAnswers,
    setInfo,
    setupSingleSession,
    showPage,
    takeRequests,
    triggerBus,
} from "./single_session_test_helpers";

describe.current.tags("desktop");
setupSingleSession();

/** Opens a page whose session has just ended. */
async function openEndedPage(info) {
    serverAnswers(ENDED);
    await openPage(info);
    await expireWebsocket();
}

// -----------------------------------------------------------------------------
// The countdown
// -----------------------------------------------------------------------------

test("a page with an ended session shows why, counts down and goes to the login page", async () => {
    await openEndedPage();
    expectNotification(
        "Your session has ended",
        MESSAGE,
        "This page is about to refresh. Unsaved changes will be lost.",
    );
    expect(".o_single_session_seconds").toHaveText("(5 s)");
    await pass(2);
    expect(".o_single_session_seconds").toHaveText("(3 s)");
    await pass(2);
    expect.verifySteps([]);
    await pass(2);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
    await pass(600, 30);
    expect.verifySteps([]);
});

test("the notification is announced once, without its seconds, and its button can be reached", async () => {
    await openEndedPage();
    expect(".o_single_session_notification").toHaveAttribute("role", "alert");
    expect(".o_single_session_seconds").toHaveAttribute("aria-hidden", "true");
    const button = ".o_single_session_notification .o_notification_buttons button";
    expect(queryAllTexts(button)).toEqual(["Log in"]);
    expect(button).toHaveProperty("tabIndex", 0);
});

test("the button leads to the login page at once, with single sign-on", async () => {
    await openEndedPage();
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
    await pass(600, 30);
    expect(".o_single_session_seconds").toHaveText("(5 s)");
    expect.verifySteps([]);
});

test("closing the notification changes nothing", async () => {
    await openEndedPage();
    await click(".o_single_session_notification .o_notification_close");
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("the message of the server is text, not markup", async () => {
    serverAnswers(() => ({ state: "ended", message: "<img class='evil'/>" }));
    await openPage();
    await expireWebsocket();
    expectNotification("<img class='evil'/>");
    expect(".evil").toHaveCount(0);
});

test("several events make one notification", async () => {
    await openEndedPage();
    await refuseCall();
    await expireWebsocket();
    await triggerBus("BUS:RECONNECT");
    expectNotification(MESSAGE);
    expect(".o_dialog").toHaveCount(0);
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("a form can't keep the page from leaving, but saves its drafts", async () => {
    const ask = (ev) => {
        expect.step("a form keeps a draft");
        ev.preventDefault();
        ev.returnValue = "Leave?";
    };
    const mayLeave = () => {
        const event = new Event("beforeunload", { cancelable: true });
        window.dispatchEvent(event);
        expect.verifySteps(["a form keeps a draft"]);
        return !event.defaultPrevented;
    };
    await openPage();
    window.addEventListener("beforeunload", ask);
    after(() => window.removeEventListener("beforeunload", ask));
    expect(mayLeave()).toBe(false);
    serverAnswers(ENDED);
    await expireWebsocket();
    expect(mayLeave()).toBe(false);
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
    expect(mayLeave()).toBe(true);
});

test("the page is not left while the server does not answer", async () => {
    await openEndedPage({ poll_interval: 0 });
    serverAnswers(BAD_GATEWAY);
    await pass(6);
    expectNotification(MESSAGE);
    expect.verifySteps([]);
    serverAnswers(ENDED);
    await pass(30);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("a page that counts down or goes asks no more", async () => {
    serverAnswers(ENDED);
    await openPage({ poll_interval: 5 });
    await triggerBus("BUS:CONNECT");
    expectNotification(MESSAGE);
    takeRequests();
    await expireWebsocket();
    await pass(3);
    await clickButton();
    await pass(60, 5);
    expect(takeRequests()).toHaveLength(0);
    expect.verifySteps([LOGIN_PAGE]);
});

test("a countdown does not wait for an answer", async () => {
    await openPage();
    await triggerBus("BUS:CONNECT");
    serverAnswers(ENDED);
    await expireWebsocket();
    serverAnswers(() => new Deferred());
    browser.dispatchEvent(new Event("online"));
    await pass(3);
    expect(".o_single_session_seconds").toHaveText("(2 s)");
});

// -----------------------------------------------------------------------------
// Logged in again
// -----------------------------------------------------------------------------

test("after a login in another tab, the page stays", async () => {
    await openEndedPage();
    serverAnswers(ALIVE);
    await pass(60);
    expectNothing();
    expect.verifySteps([]);
});

test("after a new login in this browser, 4001 shows nothing", async () => {
    await openPage();
    await expireWebsocket();
    expectNothing();
});

test("all tabs show the notification", async () => {
    serverAnswers(ENDED);
    await openPage();
    const tab = singleSessionService.start(
        { services: {} },
        {
            bus_service: getService("bus_service"),
            notification: {
                add: (message) => expect.step(/<strong>(.*?)</.exec(message)[1]),
            },
        },
    );
    after(() => tab.stop());
    await triggerBus("BUS:RECONNECT");
    forgetRequests();
    expectNotification(MESSAGE);
    expect.verifySteps(["Your session has ended"]);
});

test("a page that came back shows it again, unless a user has logged in", async () => {
    await openEndedPage();
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
    await pass(10);
    await comeBack();
    expectNotification(MESSAGE, "about to refresh");
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
    await comeBack();
    await pass(6);
    expectNotification(MESSAGE, "Log in to continue");
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
    serverAnswers(ALIVE);
    await comeBack();
    await pass(6);
    expectNothing();
});

test("a page with an expired session that came back shows it again", async () => {
    serverAnswers(NONE);
    await openPage();
    await refuseCall();
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
    await pass(10);
    await comeBack();
    expectNotification("Your session has expired");
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

// -----------------------------------------------------------------------------
// Single sign-on that logs in without a click
// -----------------------------------------------------------------------------

for (const [when, seconds] of Object.entries({ lately: 550, "before the clock was set": -599 })) {
    test(`a browser that has left a page by itself ${when} stays until its button is clicked`, async () => {
        leftByItself(seconds);
        await openEndedPage();
        expectNotification(MESSAGE, "Log in to continue. Unsaved changes will be lost.");
        expect(".o_single_session_notification").not.toHaveText(/about to refresh/);
        expect(".o_single_session_seconds").toHaveCount(0);
        await pass(1200, 30);
        expect.verifySteps([]);
        await clickButton();
        expect.verifySteps([LOGIN_PAGE]);
    });
}

test("a page that stays notices a login in another tab", async () => {
    leftByItself(1);
    await openEndedPage({ poll_interval: 0 });
    await pass(3600, 60);
    expectNotification(MESSAGE);
    serverAnswers(ALIVE);
    await showPage(true);
    expectNothing();
});

test("a browser leaves a page by itself again after ten minutes", async () => {
    leftByItself(601);
    await openEndedPage();
    expectNotification("about to refresh");
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
    const left = Number(browser.localStorage.getItem("op_single_session_login.left_at"));
    expect(Date.now() - left).toBeLessThan(2000);
});

test("after a click, the next page leaves by itself", async () => {
    await openEndedPage();
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
    await pass(10);
    await comeBack();
    expectNotification("about to refresh");
});

test("a browser without storage stays", async () => {
    fillStorage();
    await openEndedPage({ poll_interval: 0 });
    await pass(60);
    expectNotification(MESSAGE, "Log in to continue");
    expect.verifySteps([]);
});

// -----------------------------------------------------------------------------
// The browser that has logged in
// -----------------------------------------------------------------------------

const LOGIN = {
    login_id: 7,
    ended: [
        { id: 6, device: "Firefox (Linux)", date: "10:31" },
        { id: 5, device: "Chrome (Android)", date: "09:02" },
    ],
};

/** Opens a page of a browser that has seen these logins in the page's database. */
function openKnowing(logins, info) {
    browser.localStorage.setItem("op_single_session_login.logins.prod", JSON.stringify(logins));
    return openPage({ ...LOGIN, ...info });
}

function readLogins() {
    return JSON.parse(browser.localStorage.getItem("op_single_session_login.logins.prod"));
}

test("a login says which sessions of other browsers it ended", async () => {
    await openPage(LOGIN);
    expectNotification(
        "This login ended 2 of your sessions, the newest on Firefox (Linux), open since 10:31.",
        "If this wasn't you, change your password.",
    );
    expect(queryAllTexts(".o_notification_buttons button")).toEqual(["Change password"]);
});

test("a login that ended one session names it", async () => {
    await openPage({ ...LOGIN, ended: LOGIN.ended.slice(1) });
    expectNotification("This login ended your session on Chrome (Android), open since 09:02.");
});

test("a login that ended no session shows nothing", async () => {
    await openPage({ login_id: 7 });
    expectNothing();
    expect(readLogins()).toEqual([7]);
});

test("a session without a login shows nothing, and is not remembered", async () => {
    await openPage();
    expectNothing();
    expect(readLogins()).toBe(null);
});

test("a login does not name the browser's own sessions", async () => {
    await openKnowing([6, 2]);
    expectNotification("This login ended your session on Chrome (Android), open since 09:02.");
});

test("a login that ended only the browser's own sessions shows nothing", async () => {
    await openKnowing([6, 5]);
    expectNothing();
    expect(readLogins()).toEqual([7, 6, 5]);
});

test("after a reload, it is not shown again", async () => {
    await openKnowing([7, 3]);
    expectNothing();
    expect(readLogins()).toEqual([7, 3]);
});

test("a browser remembers its last ten logins, by database", async () => {
    const logins = [16, 15, 14, 13, 12, 11, 10, 9, 8, 3];
    await openKnowing(logins, { login_id: 17 });
    expectNotification("This login ended 2 of your sessions");
    expect(readLogins()).toEqual([17, ...logins.slice(0, 9)]);
});

test("what a browser knows of another database does not count", async () => {
    await openKnowing([7, 6, 5], { db: "test" });
    expectNotification("This login ended 2 of your sessions");
});

test("a browser without storage shows it", async () => {
    fillStorage();
    await openPage(LOGIN);
    expectNotification("This login ended 2 of your sessions");
});

test("the names of devices are text, not markup", async () => {
    await openPage({ ...LOGIN, ended: [{ id: 6, device: "<img class='evil'/>", date: "10:31" }] });
    expectNotification("<img class='evil'/>");
    expect(".evil").toHaveCount(0);
});

test("when the session ends in turn, its notification is the only one", async () => {
    await openPage(LOGIN);
    expectNotification("This login ended");
    serverAnswers(ENDED);
    await expireWebsocket();
    expectNotification("Your session has ended", MESSAGE);
});

test("the button opens the preferences", async () => {
    onRpc("res.users", "action_get", () => ({
        type: "ir.actions.client",
        tag: "the_preferences",
    }));
    registry
        .category("actions")
        .add("the_preferences", (env, { res_id }) => expect.step(`preferences of ${res_id}`));
    await openPage(LOGIN);
    await clickButton();
    await pass(0);
    expect.verifySteps(["preferences of 2"]);
    expectNothing();
});

test("on a page of the portal, the button opens the page about security", async () => {
    let button;
    const notification = {
        add(message, { buttons }) {
            [button] = buttons;
            return () => expect.step("closed");
        },
    };
    const bus_service = { addEventListener() {}, start() {} };
    await makeMockEnv(); // loads the translations
    setInfo(LOGIN);
    const tab = singleSessionService.start(
        { services: { notification } },
        { bus_service, notification },
    );
    after(() => tab.stop());
    button.onClick();
    expect.verifySteps(["closed", "/my/security"]);
});
