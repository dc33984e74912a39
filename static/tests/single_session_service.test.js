import { singleSessionService } from "@op_single_session_login/single_session_service";
import { after, beforeEach, describe, expect, test } from "@odoo/hoot";
import { click, queryAllTexts } from "@odoo/hoot-dom";
import { Deferred, advanceTime, animationFrame } from "@odoo/hoot-mock";
import { EventBus } from "@odoo/owl";
import {
    getService,
    makeMockEnv,
    mockService,
    mountWithCleanup,
    onRpc,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";
import { browser } from "@web/core/browser/browser";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { registry } from "@web/core/registry";
import { session } from "@web/session";

describe.current.tags("desktop");

const MESSAGE = "Your account was used to log in on another device: Firefox (Linux), 10:31.";
const ALIVE = () => ({ state: "alive" });
const ENDED = () => ({ state: "ended", message: MESSAGE });
const NONE = () => ({ state: "none" });
const NO_NETWORK = () => Promise.reject(new TypeError("Failed to fetch"));
const BAD_GATEWAY = () => new Response("<h1>502</h1>", { status: 502 });
// where the button leads, and where the page goes after the countdown
const LOGIN_PAGE = "/web/login?db=prod&redirect=%2Fodoo%2Fcontacts%3Fdebug%3D1%23here";
const LOGIN_PAGE_BY_ITSELF = `${LOGIN_PAGE}&no_autologin=1&disable_autoredirect=1`;

let answer;
let hasDatabase; // whether the server knows which database the cookie is for
let isPostgresqlThere;
let nextResponse; // of any other request

/** Opens a page of a logged-in user. */
async function openPage({ poll_interval = 30, ended_by_login } = {}) {
    patchWithCleanup(session, {
        op_single_session_login: { db: "prod", poll_interval, ended_by_login },
    });
    await mountWithCleanup(MainComponentsContainer);
    after(() => getService("op_single_session_login").stop());
}

/** Answers from now on; `expect.verifySteps(["asked"])` tells how often it was asked. */
function serverAnswers(newAnswer) {
    answer = newAnswer;
}

function setVisible(isVisible) {
    patchWithCleanup(document, { visibilityState: isVisible ? "visible" : "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
}

function hint(type, detail) {
    getService("bus_service").trigger(type, detail);
}

/** Lets the browser's storage take nothing more of this addon. */
function fillStorage() {
    patchWithCleanup(browser.localStorage, {
        setItem(key) {
            if (key.startsWith("op_single_session_login")) {
                throw new DOMException("full", "QuotaExceededError");
            }
            return super.setItem(...arguments);
        },
    });
}

/** Sends a request whose response came from this address of the server. */
async function sendRequest(url, status = 200) {
    nextResponse = Object.defineProperty(new Response("", { status }), "url", {
        value: new URL(url, browser.location.origin).href,
    });
    await browser.fetch("/any/upload", { method: "POST" });
    await settle();
}

async function refuseCall(exceptionName = "odoo.http.SessionExpiredException") {
    expect.errors(1);
    const error = Object.assign(new RPCError("refused"), { exceptionName, code: 100, data: {} });
    Promise.reject(error);
    await settle();
    expect.verifyErrors([/refused/]);
}

async function settle() {
    await animationFrame();
    await animationFrame();
}

/** Lets time pass in steps, between which answers arrive. */
async function pass(seconds, step = 1) {
    for (let second = 0; second < seconds; second += step) {
        await advanceTime(step * 1000);
    }
    await settle();
}

function expectNotification(...texts) {
    expect(".o_single_session_notification").toHaveCount(1);
    for (const text of texts) {
        expect(".o_single_session_notification").toHaveText(
            new RegExp(text.replace(/[().]/g, "\\$&")),
        );
    }
}

function expectNothing() {
    expect(".o_notification").toHaveCount(0);
    expect(".o_dialog").toHaveCount(0);
}

beforeEach(() => {
    serverAnswers(ALIVE);
    hasDatabase = isPostgresqlThere = true;
    mockService("bus_service", () => {
        const bus = new EventBus();
        return {
            addEventListener: bus.addEventListener.bind(bus),
            removeEventListener: bus.removeEventListener.bind(bus),
            trigger: bus.trigger.bind(bus),
            start() {},
            subscribe() {},
            unsubscribe() {},
            addChannel() {},
            deleteChannel() {},
            send() {},
        };
    });
    browser.location.href = "/odoo/contacts?debug=1#here";
    patchWithCleanup(browser.location, {
        assign: (url) => expect.step(url.replace(browser.location.origin, "")),
    });
    const { fetch } = browser;
    patchWithCleanup(browser, {
        async fetch(url, options) {
            if (url === "/any/upload") {
                return nextResponse;
            }
            if (url === "/web/service-worker.js") {
                expect.step("asked for a database");
                return new Response("", { status: hasDatabase ? 200 : 404 });
            }
            if (url === "/web/health?db_server_status=1") {
                return new Response("{}", { status: isPostgresqlThere ? 200 : 500 });
            }
            if (url === "/web/login?db=prod") {
                expect.step("named the database");
                expect(options.redirect).toBe("manual");
                hasDatabase = true;
                return new Response(null, { status: 302 });
            }
            if (url !== "/op_single_session_login/status") {
                return fetch(...arguments);
            }
            expect(options.headers).toEqual({ "X-Odoo-Database": "prod" });
            expect.step("asked");
            const patience = new Promise((_, reject) =>
                options.signal.addEventListener("abort", () => reject(new Error("aborted"))),
            );
            const body = await Promise.race([answer(), patience]);
            return body instanceof Response ? body : new Response(JSON.stringify(body));
        },
    });
    patchWithCleanup(Math, { random: () => 0 });
});

test("the websocket is started, as portal pages do not start it", () => {
    patchWithCleanup(session, { op_single_session_login: { db: "prod", poll_interval: 0 } });
    const bus_service = { addEventListener() {}, start: () => expect.step("bus started") };
    singleSessionService.start(null, { bus_service }).stop();
    expect.verifySteps(["bus started"]);
});

/** Puts the page into a frame of others; `null` is a page of another origin, which tells nothing. */
function putIntoFrame(...around) {
    let parent;
    for (const odoo of around.reverse()) {
        const page = odoo === null ? new OtherOrigin() : { odoo };
        page.parent = parent || page;
        parent = page;
    }
    patchWithCleanup(window, { parent });
}

class OtherOrigin {
    get odoo() {
        throw new DOMException("of another origin", "SecurityError");
    }
}

const WATCHED = { singleSession: {} };

for (const [where, isWatched, around] of [
    ["a page with the service", false, [WATCHED]],
    ["a page in a frame of a page with the service", false, [undefined, WATCHED]],
    ["a page of another origin in a page with the service", false, [null, WATCHED]],
    ["a page without Odoo", true, [undefined]],
    ["a page of Odoo without a user", true, [{}]],
    ["a page of another origin", true, [null]],
]) {
    test(`in a frame of ${where}, the service ${isWatched ? "runs" : "does not run"}`, async () => {
        patchWithCleanup(session, { op_single_session_login: { db: "prod", poll_interval: 0 } });
        putIntoFrame(...around);
        const bus_service = { addEventListener() {}, start() {} };
        const watcher = singleSessionService.start(null, { bus_service });
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
// Alive
// -----------------------------------------------------------------------------

test("a page without a user does not poll", async () => {
    await makeMockEnv();
    await pass(60, 30);
    expect(singleSessionService.start(null, {})).toBe(undefined);
    expect.verifySteps([]);
});

test("a page polls and shows nothing while its session is open", async () => {
    await openPage({ poll_interval: 30 });
    await pass(29);
    expect.verifySteps([]);
    await pass(62);
    expect.verifySteps(["asked", "asked", "asked"]);
    expectNothing();
});

test("with the poll interval 0, a page asks only when something suggests an end", async () => {
    await openPage({ poll_interval: 0 });
    await pass(3600, 60);
    expect.verifySteps([]);
    hint("BUS:RECONNECT");
    await settle();
    expect.verifySteps(["asked"]);
    await pass(3600, 60);
    expect.verifySteps([]);
});

test("a page with an expired session stays", async () => {
    serverAnswers(NONE);
    await openPage();
    await pass(100);
    expect.verifySteps(["asked", "asked", "asked"]);
    expectNothing();
});

// -----------------------------------------------------------------------------
// Ended
// -----------------------------------------------------------------------------

test("a page with an ended session shows why, counts down and goes to the login page", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    expectNotification(
        "Your session has ended",
        MESSAGE,
        "about to refresh",
        "Unsaved changes are lost.",
    );
    expect(".o_single_session_seconds").toHaveText("(5 s)");
    await pass(2);
    expect(".o_single_session_seconds").toHaveText("(3 s)");
    expect.verifySteps(["asked"]);
    await pass(3);
    expect.verifySteps(["asked", LOGIN_PAGE_BY_ITSELF]);
    await pass(600, 30);
    expect.verifySteps([]);
});

test("the notification is announced once, without its seconds, and its button can be reached", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    expect(".o_single_session_notification").toHaveAttribute("role", "alert");
    expect(".o_single_session_seconds").toHaveAttribute("aria-hidden", "true");
    expect(queryAllTexts(".o_single_session_notification .o_notification_buttons button")).toEqual([
        "Log in",
    ]);
    expect(".o_single_session_notification .o_notification_buttons button").toHaveProperty(
        "tabIndex",
        0,
    );
    expect.verifySteps(["asked"]);
});

test("the button leads to the login page at once, with single sign-on", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    await click(".o_single_session_notification .o_notification_buttons button");
    expect.verifySteps(["asked", LOGIN_PAGE]);
    await pass(600, 30);
    expect(".o_single_session_seconds").toHaveText("(5 s)");
    expect.verifySteps([]);
});

test("a page that came back shows it again, unless a user has logged in", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    await click(".o_single_session_notification .o_notification_buttons button");
    expect.verifySteps(["asked", LOGIN_PAGE]);
    setVisible(true);
    await settle();
    expectNotification(MESSAGE);
    await pass(5);
    expect.verifySteps(["asked", "asked", LOGIN_PAGE_BY_ITSELF]);
    setVisible(true);
    await settle();
    expectNotification(MESSAGE, "Log in to continue");
    expect.verifySteps(["asked"]);
    serverAnswers(ALIVE);
    setVisible(true);
    await settle();
    expectNothing();
    await pass(30);
    expect.verifySteps(["asked", "asked"]);
});

test("a page with an expired session that came back shows it again", async () => {
    serverAnswers(NONE);
    await openPage();
    await refuseCall();
    await click(".o_single_session_notification .o_notification_buttons button");
    expect.verifySteps(["asked", LOGIN_PAGE]);
    setVisible(true);
    await settle();
    expectNotification("Your session has expired");
    expect.verifySteps(["asked"]);
});

// -----------------------------------------------------------------------------
// Single sign-on that logs in without a click
// -----------------------------------------------------------------------------

function hasLeft(seconds) {
    browser.localStorage.setItem("op_single_session_login.left_at", Date.now() - seconds * 1000);
}

for (const [when, seconds] of Object.entries({ lately: 550, "before the clock was set": -599 })) {
    test(`a browser that has left a page by itself ${when} stays until its button is clicked`, async () => {
        hasLeft(seconds);
        serverAnswers(ENDED);
        await openPage();
        await pass(30);
        expectNotification(MESSAGE, "Log in to continue. Unsaved changes are lost.");
        expect(".o_single_session_notification").not.toHaveText(/about to refresh/);
        expect(".o_single_session_seconds").toHaveCount(0);
        await pass(1200, 30);
        expect.verifySteps(Array(41).fill("asked"));
        await click(".o_single_session_notification .o_notification_buttons button");
        expect.verifySteps([LOGIN_PAGE]);
    });
}

test("a page that stays polls as before, and notices a login in another tab", async () => {
    hasLeft(1);
    serverAnswers(ENDED);
    await openPage({ poll_interval: 0 });
    hint("BUS:DISCONNECT", { code: 4001 });
    await pass(3600, 60);
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
    serverAnswers(ALIVE);
    hint("BUS:RECONNECT");
    await settle();
    expectNothing();
    expect.verifySteps(["asked"]);
});

test("a browser leaves a page by itself again after ten minutes", async () => {
    hasLeft(601);
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    expectNotification("about to refresh");
    await pass(5);
    expect.verifySteps(["asked", "asked", LOGIN_PAGE_BY_ITSELF]);
    const left = Number(browser.localStorage.getItem("op_single_session_login.left_at"));
    expect(Date.now() - left).toBeLessThan(1000);
});

test("after a click, the next page leaves by itself", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    await click(".o_single_session_notification .o_notification_buttons button");
    expect(browser.localStorage.getItem("op_single_session_login.left_at")).toBe(null);
    expect.verifySteps(["asked", LOGIN_PAGE]);
});

test("a browser without storage stays", async () => {
    fillStorage();
    serverAnswers(ENDED);
    await openPage({ poll_interval: 0 });
    hint("BUS:DISCONNECT", { code: 4001 });
    await pass(60);
    expectNotification(MESSAGE, "Log in to continue");
    expect.verifySteps(["asked", "asked"]);
});

test("closing the notification changes nothing", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    await click(".o_single_session_notification .o_notification_close");
    await pass(5);
    expect.verifySteps(["asked", "asked", LOGIN_PAGE_BY_ITSELF]);
});

test("the message of the server is text, not markup", async () => {
    serverAnswers(() => ({ state: "ended", message: "<img class='evil'/>" }));
    await openPage();
    await pass(30);
    expectNotification("<img class='evil'/>");
    expect(".evil").toHaveCount(0);
    expect.verifySteps(["asked"]);
});

test("a form can't keep the page from leaving, but saves its drafts", async () => {
    await openPage();
    const ask = (ev) => {
        expect.step("a form keeps a draft");
        ev.preventDefault();
        ev.returnValue = "Leave?";
    };
    window.addEventListener("beforeunload", ask);
    after(() => window.removeEventListener("beforeunload", ask));
    const mayLeave = () => {
        const event = new Event("beforeunload", { cancelable: true });
        window.dispatchEvent(event);
        return !event.defaultPrevented;
    };
    expect(mayLeave()).toBe(false);
    serverAnswers(ENDED);
    await pass(35);
    expect(mayLeave()).toBe(true);
    expect.verifySteps([
        "a form keeps a draft",
        "asked",
        "asked",
        LOGIN_PAGE_BY_ITSELF,
        "a form keeps a draft",
    ]);
});

test("after a login in another tab, the page stays", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(33);
    expectNotification(MESSAGE);
    serverAnswers(ALIVE);
    await pass(2);
    expectNothing();
    expect.verifySteps(["asked", "asked"]);
    await pass(30);
    expect.verifySteps(["asked"]);
});

test("all tabs show the notification", async () => {
    serverAnswers(ENDED);
    await openPage();
    const tab = singleSessionService.start(null, {
        bus_service: getService("bus_service"),
        notification: {
            add: (message) => expect.step(`other tab: ${/<strong>(.*?)</.exec(message)[1]}`),
        },
    });
    after(() => tab.stop());
    hint("BUS:DISCONNECT", { code: 4001 });
    await settle();
    expectNotification(MESSAGE);
    expect.verifySteps(["asked", "asked", "other tab: Your session has ended"]);
});

// -----------------------------------------------------------------------------
// Several databases, on 17.0 and 18.0
// -----------------------------------------------------------------------------

const NOT_FOUND = () => new Response("<h1>404</h1>", { status: 404 });

test("if the cookie selects no database, the page selects one", async () => {
    serverAnswers(() => (hasDatabase ? ENDED() : NOT_FOUND()));
    hasDatabase = false;
    await openPage();
    await pass(30);
    expectNotification(MESSAGE);
    expect.verifySteps(["asked", "asked for a database", "named the database", "asked"]);
});

test("without PostgreSQL, the page selects no database: the login page would log the browser out", async () => {
    serverAnswers(NOT_FOUND);
    hasDatabase = isPostgresqlThere = false;
    await openPage();
    await pass(30);
    expectNothing();
    expect.verifySteps(["asked", "asked for a database"]);
});

test("without its database, the page asks less and less often", async () => {
    serverAnswers(() => {
        hasDatabase = false;
        return NOT_FOUND();
    });
    await openPage();
    await pass(30);
    expect.verifySteps(["asked", "asked for a database", "named the database", "asked"]);
    await pass(50);
    expect.verifySteps([]);
    expectNothing();
});

test("a browser that is logged in to a database without the addon stays logged in", async () => {
    serverAnswers(NOT_FOUND);
    await openPage();
    await pass(30);
    expect.verifySteps(["asked", "asked for a database"]);
    expectNothing();
});

// -----------------------------------------------------------------------------
// What makes the page ask: the websocket, the network, the tab
// -----------------------------------------------------------------------------

for (const type of ["BUS:DISCONNECT", "disconnect"]) {
    test(`a websocket that closes with 4001 (${type}) makes the page ask at once`, async () => {
        serverAnswers(ENDED);
        await openPage({ poll_interval: 0 });
        hint(type, { code: 4001 });
        await settle();
        expectNotification(MESSAGE);
        expect.verifySteps(["asked"]);
    });
}

test("a websocket that closes with 4001 after a new login in this browser shows nothing", async () => {
    await openPage();
    hint("BUS:DISCONNECT", { code: 4001 });
    await settle();
    expectNothing();
    expect.verifySteps(["asked"]);
});

test("a websocket that closes without that code makes the page ask a few seconds later", async () => {
    await openPage({ poll_interval: 0 });
    hint("BUS:DISCONNECT", { code: 1006 });
    hint("BUS:DISCONNECT");
    await settle();
    expect.verifySteps([]);
    await pass(5);
    expect.verifySteps(["asked"]);
    await pass(600, 30);
    expect.verifySteps([]);
});

for (const type of ["BUS:CONNECT", "connect", "BUS:RECONNECT", "reconnect"]) {
    test(`a websocket that connects (${type}) makes the page ask`, async () => {
        await openPage();
        hint(type);
        await settle();
        expect.verifySteps(["asked"]);
    });
}

test("a browser that is online again asks", async () => {
    await openPage();
    browser.dispatchEvent(new Event("online"));
    await settle();
    expect.verifySteps(["asked"]);
});

test("a hidden tab does not ask until it is visible", async () => {
    serverAnswers(ENDED);
    await openPage();
    setVisible(false);
    await pass(600, 30);
    expect.verifySteps([]);
    setVisible(true);
    await settle();
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
});

test("a hidden tab that the websocket notifies counts down when it is visible", async () => {
    serverAnswers(ENDED);
    await openPage();
    setVisible(false);
    hint("BUS:DISCONNECT", { code: 4001 });
    await pass(600, 30);
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
    setVisible(true);
    await settle();
    await pass(5);
    expect.verifySteps(["asked", "asked", LOGIN_PAGE_BY_ITSELF]);
});

test("a hidden tab closes its notification after a new login", async () => {
    serverAnswers(ENDED);
    await openPage();
    setVisible(false);
    hint("BUS:DISCONNECT", { code: 4001 });
    await pass(600, 30);
    serverAnswers(ALIVE);
    setVisible(true);
    await pass(10);
    expectNothing();
    expect.verifySteps(["asked", "asked"]);
});

// -----------------------------------------------------------------------------
// No answer
// -----------------------------------------------------------------------------

for (const [what, noAnswer] of Object.entries({
    "no network": NO_NETWORK,
    "a proxy's error": BAD_GATEWAY,
    "another page": () => new Response("<html/>"),
    "an answer of another server": () => ({ state: "OK" }),
    "an empty answer": () => null,
})) {
    test(`${what} is no end, and the page asks less often`, async () => {
        serverAnswers(noAnswer);
        await openPage({ poll_interval: 10 });
        await pass(10);
        expect.verifySteps(["asked"]);
        await pass(19);
        expect.verifySteps([]);
        await pass(1);
        expect.verifySteps(["asked"]);
        await pass(39);
        expect.verifySteps([]);
        await pass(1);
        expect.verifySteps(["asked"]);
        expectNothing();
    });
}

test("without answers, the page asks at least every ten minutes", async () => {
    serverAnswers(NO_NETWORK);
    await openPage();
    await pass(30 + 60 + 120 + 240 + 480, 30);
    expect.verifySteps([...Array(5).fill("asked")]);
    await pass(600, 30);
    await pass(600, 30);
    expect.verifySteps(["asked", "asked"]);
});

test("pages ask at different times when a server comes back", async () => {
    patchWithCleanup(Math, { random: () => 1 });
    serverAnswers(BAD_GATEWAY);
    await openPage({ poll_interval: 10 });
    await pass(10 + 29);
    expect.verifySteps(["asked"]);
    await pass(1);
    expect.verifySteps(["asked"]);
});

test("a page that gets answers again polls again", async () => {
    serverAnswers(NO_NETWORK);
    await openPage({ poll_interval: 10 });
    await pass(10 + 20);
    serverAnswers(ALIVE);
    await pass(40);
    expect.verifySteps(["asked", "asked", "asked"]);
    await pass(20);
    expect.verifySteps(["asked", "asked"]);
});

test("a websocket that closes with 4001 while there is no answer makes the page ask again", async () => {
    serverAnswers(BAD_GATEWAY);
    await openPage({ poll_interval: 0 });
    hint("BUS:DISCONNECT", { code: 4001 });
    await settle();
    await pass(5 + 10);
    expect.verifySteps(["asked", "asked", "asked"]);
    serverAnswers(ENDED);
    await pass(20);
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
});

test("requests for other reasons do not make the page ask less often", async () => {
    serverAnswers(NO_NETWORK);
    await openPage({ poll_interval: 10 });
    for (let number = 0; number < 5; number++) {
        browser.dispatchEvent(new Event("online"));
        await settle();
    }
    expect.verifySteps(Array(5).fill("asked"));
    await pass(10);
    expect.verifySteps(["asked"]);
});

test("a status request without an answer is aborted", async () => {
    serverAnswers(() => new Deferred());
    await openPage();
    await pass(30);
    expect.verifySteps(["asked"]);
    hint("BUS:DISCONNECT", { code: 4001 });
    serverAnswers(ENDED);
    await pass(31);
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
});

test("a countdown does not wait for an answer", async () => {
    serverAnswers(ENDED);
    await openPage();
    await pass(30);
    serverAnswers(() => new Deferred());
    browser.dispatchEvent(new Event("online"));
    await pass(3);
    expect(".o_single_session_seconds").toHaveText("(2 s)");
    expect.verifySteps(["asked", "asked"]);
});

test("a browser that is now logged in to another database shows nothing", async () => {
    serverAnswers(() => new Response("Forbidden", { status: 403 }));
    await openPage();
    await pass(30);
    expectNothing();
    await refuseCall();
    expectNotification("Your session has expired");
    await pass(5);
    expect.verifySteps(["asked", "asked", "asked", LOGIN_PAGE_BY_ITSELF]);
});

test("a slow server gets one status request at a time", async () => {
    const slow = new Deferred();
    serverAnswers(() => slow);
    await openPage();
    await pass(30);
    hint("BUS:DISCONNECT", { code: 4001 });
    browser.dispatchEvent(new Event("online"));
    await pass(20);
    expect.verifySteps(["asked"]);
    expectNothing();
    // this answer was true before the websocket closed, so the page asks once more
    serverAnswers(ENDED);
    slow.resolve({ state: "alive" });
    await settle();
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
});

test("the page is not left while the server does not answer", async () => {
    serverAnswers(ENDED);
    await openPage({ poll_interval: 0 });
    hint("BUS:DISCONNECT", { code: 4001 });
    await settle();
    serverAnswers(BAD_GATEWAY);
    await pass(5);
    expectNotification(MESSAGE);
    expect.verifySteps(["asked", "asked"]);
    serverAnswers(ENDED);
    await pass(10);
    expect.verifySteps(["asked", LOGIN_PAGE_BY_ITSELF]);
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
    await pass(5);
    expect.verifySteps(["asked", "asked", LOGIN_PAGE_BY_ITSELF]);
});

test("a call refused because the session has expired shows only that", async () => {
    serverAnswers(NONE);
    await openPage();
    await refuseCall();
    expectNotification("Your session has expired", "about to refresh", "Unsaved changes are lost.");
    expect(queryAllTexts(".o_single_session_notification")[0]).not.toInclude("another device");
    expect(".o_dialog").toHaveCount(0);
    await pass(5);
    expect.verifySteps(["asked", "asked", LOGIN_PAGE_BY_ITSELF]);
});

test("a refused call shows nothing until the server gives the reason", async () => {
    serverAnswers(NO_NETWORK);
    await openPage({ poll_interval: 0 });
    await refuseCall();
    await pass(5 + 10);
    expectNothing();
    expect.verifySteps(["asked", "asked", "asked"]);
    serverAnswers(ENDED);
    await pass(20);
    expectNotification("Your session has ended", MESSAGE);
    expect.verifySteps(["asked"]);
});

test("a download that gets the login page is a refused call", async () => {
    serverAnswers(ENDED);
    await openPage();
    await refuseCall(null);
    expectNotification("Your session has ended", MESSAGE);
    expect(".o_dialog").toHaveCount(0);
    expect.verifySteps(["asked"]);
});

test("a download that fails for another reason is left to core", async () => {
    await openPage();
    await refuseCall(null);
    expect(".o_dialog").toHaveCount(1);
    expect.verifySteps(["asked"]);
});

test("a call refused though the session is alive is left to core", async () => {
    // auth_timeout refuses calls before it ends the session
    await openPage();
    await refuseCall();
    expect(".o_dialog").toHaveCount(1);
    expect(".o_single_session_notification").toHaveCount(0);
    serverAnswers(NONE);
    await pass(30);
    expect(".o_single_session_notification").toHaveCount(0);
    expect.verifySteps(["asked", "asked"]);
});

test("a lost connection is core's, but may be a refused call among several databases", async () => {
    expect.errors(2);
    const loseConnection = async () => {
        Promise.reject(new ConnectionLostError("/web/dataset/call_kw"));
        await settle();
        expect.verifyErrors([/couldn't be established/]);
    };
    serverAnswers(NO_NETWORK);
    await openPage();
    await loseConnection();
    expect(".o_notification").toHaveCount(1);
    expect(".o_notification").toHaveText(/Connection lost/);
    serverAnswers(ENDED);
    await loseConnection();
    expectNotification(MESSAGE);
    expect.verifySteps(["asked", "asked"]);
});

test("several events make one notification", async () => {
    serverAnswers(ENDED);
    await openPage();
    await refuseCall();
    hint("BUS:DISCONNECT", { code: 4001 });
    await settle();
    hint("BUS:RECONNECT");
    await settle();
    expectNotification(MESSAGE);
    expect.verifySteps(["asked", "asked", "asked"]);
});

test("core's handling of other errors stays as it is", async () => {
    await openPage();
    await refuseCall("odoo.exceptions.ValidationError");
    expect(".o_dialog").toHaveCount(1);
    expect.verifySteps([]);
});

test("an identity check (auth_timeout) is not taken for an expired session", async () => {
    await openPage();
    await refuseCall("odoo.addons.auth_timeout.models.ir_http.CheckIdentityException");
    expect(".o_single_session_notification").toHaveCount(0);
    expect.verifySteps([]);
});

// -----------------------------------------------------------------------------
// Requests that show no error of Odoo's when they are refused
// -----------------------------------------------------------------------------

test("a request that is redirected to the login page makes the page ask at once", async () => {
    serverAnswers(ENDED);
    await openPage();
    await sendRequest("/fr/web/login?redirect=x");
    expectNotification(MESSAGE);
    expect.verifySteps(["asked"]);
});

test("a request in the background of an expired session shows nothing", async () => {
    serverAnswers(NONE);
    await openPage();
    await sendRequest("/web/login");
    expectNothing();
    expect.verifySteps(["asked"]);
});

test("an answer 404 makes the page ask at once", async () => {
    await openPage();
    await sendRequest("/mail/attachment/upload", 404);
    expectNothing();
    expect.verifySteps(["asked"]);
});

test("other answers, and those of other servers, make no page ask", async () => {
    await openPage();
    await sendRequest("/mail/attachment/upload");
    await sendRequest("/mail/attachment/upload", 502);
    await sendRequest("https://example.com/web/login");
    expect.verifySteps([]);
});

test("after the service has stopped, requests are no longer watched", async () => {
    await openPage();
    getService("op_single_session_login").stop();
    await sendRequest("/web/login");
    expect.verifySteps([]);
});

// -----------------------------------------------------------------------------
// The Point of Sale
// -----------------------------------------------------------------------------

test("the Point of Sale stays open, and keeps its orders", async () => {
    window.odoo.pos_session_id = 1;
    after(() => delete window.odoo.pos_session_id);
    serverAnswers(ENDED);
    await openPage({ ended_by_login: { id: 7, message: "This login ended your session." } });
    await pass(30);
    expect(".o_notification").toHaveCount(1);
    expectNotification(
        "Your session has ended",
        MESSAGE,
        "Log in to continue. Your orders are kept.",
    );
    expect(".o_single_session_seconds").toHaveCount(0);
    await pass(60, 30);
    expect.verifySteps(["asked", "asked", "asked"]);
    await click(".o_single_session_notification .o_notification_buttons button");
    expect.verifySteps([LOGIN_PAGE]);
});

test("the Point of Sale shows that a session has expired when a request is refused", async () => {
    window.odoo.pos_session_id = 1;
    after(() => delete window.odoo.pos_session_id);
    serverAnswers(NONE);
    await openPage();
    await sendRequest("/web/login");
    expectNotification("Your session has expired", "Log in to continue. Your orders are kept.");
    expect.verifySteps(["asked"]);
});

// -----------------------------------------------------------------------------
// The browser that has logged in
// -----------------------------------------------------------------------------

const ENDED_BY_LOGIN = {
    id: 7,
    user_id: 2,
    message: "This login ended your session on Firefox (Linux).",
};

test("a login that ended a session shows it once", async () => {
    await openPage({ ended_by_login: ENDED_BY_LOGIN });
    await settle();
    expectNotification(ENDED_BY_LOGIN.message, "If this wasn't you, change your password.");
    expect(queryAllTexts(".o_notification_buttons button")).toEqual(["Change password"]);
    expect(browser.localStorage.getItem("op_single_session_login.shown_login")).toBe("prod 7");
});

test("after a reload, it is not shown again", async () => {
    browser.localStorage.setItem("op_single_session_login.shown_login", "prod 7");
    await openPage({ ended_by_login: ENDED_BY_LOGIN });
    await settle();
    expectNothing();
});

test("the next login shows it again, also in a browser without storage", async () => {
    browser.localStorage.setItem("op_single_session_login.shown_login", "prod 6");
    fillStorage();
    await openPage({ ended_by_login: ENDED_BY_LOGIN });
    await settle();
    expectNotification(ENDED_BY_LOGIN.message);
});

test("the button of a new browser opens the preferences", async () => {
    onRpc("res.users", "action_get", () => {
        expect.step("action_get");
        return { type: "ir.actions.client", tag: "the_preferences" };
    });
    registry
        .category("actions")
        .add("the_preferences", (env, { res_id }) => expect.step(`preferences of ${res_id}`));
    await openPage({ ended_by_login: ENDED_BY_LOGIN });
    await settle();
    await click(".o_notification_buttons button");
    await settle();
    expect.verifySteps(["action_get", "preferences of 2"]);
});
