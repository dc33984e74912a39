import { after, describe, expect, test } from "@odoo/hoot";
import { queryAllTexts } from "@odoo/hoot-dom";
import { getService, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { singleSessionService } from "@op_single_session_login/single_session_service";
import { browser } from "@web/core/browser/browser";
import {
    ENDED,
    LOGIN_PAGE,
    LOGIN_PAGE_BY_ITSELF,
    MESSAGE,
    NONE,
    NO_NETWORK,
    clickButton,
    expectNothing,
    expectNotification,
    expireWebsocket,
    loseConnection,
    openPage,
    pass,
    refuseCall,
    refuseInBackground,
    serverAnswers,
    setInfo,
    setupSingleSession,
    takeRequests,
    triggerBus,
} from "./single_session_test_helpers";

describe.current.tags("desktop");
setupSingleSession();

// -----------------------------------------------------------------------------
// The service
// -----------------------------------------------------------------------------

test("the websocket is started, as portal pages do not start it", () => {
    setInfo({ poll_interval: 0 });
    const bus_service = { addEventListener() {}, start: () => expect.step("bus started") };
    singleSessionService.start({ services: {} }, { bus_service }).stop();
    expect.verifySteps(["bus started"]);
});

test("after the service has stopped, the page asks no more", async () => {
    await openPage();
    getService("op_single_session_login").stop();
    await expireWebsocket();
    await refuseInBackground();
    await triggerBus("BUS:CONNECT");
    browser.dispatchEvent(new Event("online"));
    await pass(60);
    expect(takeRequests()).toHaveLength(0);
});

test("nothing of the browser's is patched", async () => {
    const { fetch } = browser;
    const { open, send } = XMLHttpRequest.prototype;
    await openPage();
    expect(browser.fetch).toBe(fetch);
    expect(XMLHttpRequest.prototype.open).toBe(open);
    expect(XMLHttpRequest.prototype.send).toBe(send);
});

// -----------------------------------------------------------------------------
// Frames
// -----------------------------------------------------------------------------

/** Puts the page into a frame of others, from the inside out; `null` is a page of another origin. */
function putIntoFrame(...around) {
    const pages = around.map((odoo) => odoo && { odoo, frameElement: null });
    pages.forEach((page, index) => page && nest(page, pages[index + 1]));
    patchWithCleanup(window, nest({}, pages[0]));
}

function nest(page, parent) {
    // What a browser shows of a page of another origin: that there is one.
    return Object.assign(page, { parent: parent || {}, frameElement: parent ? {} : null });
}

const WATCHED = { singleSession: {} };

for (const [where, isWatched, around] of [
    ["a page with the service", false, [WATCHED]],
    ["a page in a frame of a page with the service", false, [{}, WATCHED]],
    ["a page without the service", true, [{}]],
    ["a page of another origin", true, [null]],
    ["a page in a frame of another origin", true, [{}, null]],
]) {
    test(`in a frame of ${where}, the service ${isWatched ? "runs" : "does not run"}`, () => {
        setInfo({ poll_interval: 0 });
        putIntoFrame(...around);
        const bus_service = { addEventListener() {}, start() {} };
        const watcher = singleSessionService.start({ services: {} }, { bus_service });
        after(() => watcher?.stop());
        expect(Boolean(watcher)).toBe(isWatched);
    });
}

test("a page shows its frames whether the service runs", async () => {
    await openPage();
    expect(window.odoo.singleSession).toBe(getService("op_single_session_login"));
    getService("op_single_session_login").stop();
    expect(window.odoo.singleSession).toBe(undefined);
});

// -----------------------------------------------------------------------------
// A call that is refused
// -----------------------------------------------------------------------------

test("a call refused because the session was ended leads to the notification, not to core's dialog", async () => {
    serverAnswers(ENDED);
    await openPage();
    await refuseCall();
    expectNotification("Your session has ended", MESSAGE);
    expect(".o_dialog").toHaveCount(0);
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("a call refused because the session has expired shows only that", async () => {
    serverAnswers(NONE);
    await openPage();
    await refuseCall();
    expectNotification(
        "Your session has expired",
        "about to refresh",
        "Unsaved changes will be lost.",
    );
    expect(queryAllTexts(".o_single_session_notification")[0]).not.toInclude("another device");
    expect(".o_dialog").toHaveCount(0);
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("a refused call shows nothing until the server gives the reason", async () => {
    serverAnswers(NO_NETWORK);
    await openPage({ poll_interval: 0 });
    await refuseCall();
    await pass(20);
    expectNothing();
    serverAnswers(ENDED);
    await pass(60);
    expectNotification("Your session has ended", MESSAGE);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("a download that gets the login page is a refused call", async () => {
    serverAnswers(ENDED);
    await openPage();
    await refuseCall(null);
    expectNotification("Your session has ended", MESSAGE);
    expect(".o_dialog").toHaveCount(0);
});

test("a download that fails for another reason is left to core", async () => {
    await openPage();
    await refuseCall(null);
    expect(".o_dialog").toHaveCount(1);
});

test("a call refused though the session is open is left to core", async () => {
    // auth_timeout refuses calls before it ends the session
    await openPage();
    await refuseCall();
    expect(".o_dialog").toHaveCount(1);
    expect(".o_single_session_notification").toHaveCount(0);
    serverAnswers(NONE);
    await pass(60);
    expect(".o_single_session_notification").toHaveCount(0);
});

test("a call refused soon after another one is not lost", async () => {
    await openPage({ poll_interval: 0 });
    await refuseInBackground();
    serverAnswers(NONE);
    await refuseCall();
    await pass(6);
    expectNotification("Your session has expired");
});

test("a request in the background of an expired session shows nothing", async () => {
    serverAnswers(NONE);
    await openPage();
    await refuseInBackground();
    expectNothing();
});

test("a request in the background of an ended session leads to the notification", async () => {
    serverAnswers(ENDED);
    await openPage();
    await refuseInBackground();
    expectNotification(MESSAGE);
});

test("a lost connection is core's, but may be a refused call among several databases", async () => {
    serverAnswers(NO_NETWORK);
    await openPage();
    await loseConnection();
    expect(".o_notification").toHaveCount(1);
    expect(".o_notification").toHaveText(/Connection lost/);
    serverAnswers(ENDED);
    await pass(30);
    expectNotification(MESSAGE);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

for (const exceptionName of [
    "odoo.exceptions.ValidationError",
    "odoo.addons.auth_timeout.models.ir_http.CheckIdentityException",
]) {
    test(`core's handling of ${exceptionName} stays as it is`, async () => {
        serverAnswers(ENDED);
        await openPage();
        await refuseCall(exceptionName);
        expect(".o_single_session_notification").toHaveCount(0);
        expect(takeRequests()).toHaveLength(0);
    });
}

// -----------------------------------------------------------------------------
// The Point of Sale
// -----------------------------------------------------------------------------

function openPointOfSale(info) {
    window.odoo.pos_session_id = 1;
    after(() => delete window.odoo.pos_session_id);
    return openPage(info);
}

test("the Point of Sale stays open, and keeps its orders", async () => {
    serverAnswers(ENDED);
    await openPointOfSale();
    await expireWebsocket();
    expectNotification(
        "Your session has ended",
        MESSAGE,
        "Log in to continue. Your orders are kept.",
    );
    expect(".o_single_session_seconds").toHaveCount(0);
    await pass(600, 30);
    expect.verifySteps([]);
    await clickButton();
    expect.verifySteps([LOGIN_PAGE]);
});

test("the Point of Sale shows that a session has expired when a request is refused", async () => {
    serverAnswers(NONE);
    await openPointOfSale();
    await refuseInBackground();
    expectNotification("Your session has expired", "Log in to continue. Your orders are kept.");
});

test("the Point of Sale does not show what its login ended, and leaves it to the next page", async () => {
    const ended = [{ id: 6, device: "Firefox (Linux)", date: "10:31" }];
    await openPointOfSale({ login_id: 7, ended });
    expectNothing();
    expect(browser.localStorage.getItem("op_single_session_login.logins.prod")).toBe(null);
});
