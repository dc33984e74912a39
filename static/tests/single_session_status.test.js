import { describe, expect, test } from "@odoo/hoot";
import { Deferred } from "@odoo/hoot-mock";
import { makeMockEnv, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { singleSessionService } from "@op_single_session_login/single_session_service";
import { browser } from "@web/core/browser/browser";
import {
    ALIVE,
    BAD_GATEWAY,
    ENDED,
    LOGIN_PAGE_BY_ITSELF,
    MESSAGE,
    NONE,
    NOT_FOUND,
    NO_NETWORK,
    expectNothing,
    expectNotification,
    expireWebsocket,
    loseConnection,
    openPage,
    pass,
    refuseCall,
    refuseInBackground,
    serverAnswers,
    setupSingleSession,
    settle,
    showPage,
    takeRequests,
    triggerBus,
} from "./single_session_test_helpers";

describe.current.tags("desktop");
setupSingleSession();

// -----------------------------------------------------------------------------
// Polling
// -----------------------------------------------------------------------------

test("a page without a user does not ask", async () => {
    await makeMockEnv();
    expect(singleSessionService.start(null, {})).toBe(undefined);
    await pass(60, 30);
    expect(takeRequests()).toEqual([]);
});

test("a page asks at each poll interval, and shows nothing while its session is open", async () => {
    await openPage({ poll_interval: 30 });
    // the time that the test itself takes counts, too
    await pass(25);
    expect(takeRequests()).toHaveLength(0);
    await pass(70);
    expect(takeRequests()).toHaveLength(3);
    expectNothing();
});

test("without a poll interval, a page asks only when something may have happened", async () => {
    await openPage({ poll_interval: 0 });
    await pass(3600, 60);
    expect(takeRequests()).toHaveLength(0);
    serverAnswers(ENDED);
    await triggerBus("BUS:RECONNECT");
    expectNotification(MESSAGE);
});

test("a page whose session has expired stays", async () => {
    serverAnswers(NONE);
    await openPage();
    await pass(100);
    expectNothing();
});

test("each status request has a URL of its own", async () => {
    await openPage({ poll_interval: 5 });
    await pass(60);
    const urls = takeRequests().map(({ url }) => url);
    expect(urls.length).toBeGreaterThan(5);
    expect(new Set(urls).size).toBe(urls.length);
});

// -----------------------------------------------------------------------------
// Events
// -----------------------------------------------------------------------------

const EVENTS = {
    "a websocket that connects": () => triggerBus("BUS:CONNECT"),
    "a websocket that connects (17.0 and 18.0)": () => triggerBus("connect"),
    "a websocket that connects again": () => triggerBus("BUS:RECONNECT"),
    "a websocket that connects again (17.0 and 18.0)": () => triggerBus("reconnect"),
    "a websocket that closes without a code": () => triggerBus("BUS:DISCONNECT"),
    "a websocket that closes with another code": () => triggerBus("disconnect", { code: 1006 }),
    "a network that is there again": () => browser.dispatchEvent(new Event("online")),
    "a call without an answer": loseConnection,
};

for (const [what, happen] of Object.entries(EVENTS)) {
    test(`after ${what}, the page asks`, async () => {
        const chance = 0.5;
        patchWithCleanup(Math, { random: () => chance });
        serverAnswers(ENDED);
        await openPage({ poll_interval: 0 });
        await happen();
        await pass(5 * chance);
        expectNotification(MESSAGE);
    });
}

test("whatever happens, a page asks at most once in five seconds", async () => {
    await openPage({ poll_interval: 5 });
    for (let second = 0; second < 60; second++) {
        for (const type of ["CONNECT", "DISCONNECT", "RECONNECT"]) {
            triggerBus(`BUS:${type}`);
        }
        browser.dispatchEvent(new Event("online"));
        showPage(false);
        showPage(true);
        await pass(1);
    }
    expect(takeRequests().length).toBeWithin(10, 13);
    expectNothing();
});

for (const type of ["BUS:DISCONNECT", "disconnect"]) {
    test(`a websocket that closes with 4001 (${type}) makes the page ask at once`, async () => {
        await openPage({ poll_interval: 0 });
        await triggerBus("BUS:CONNECT");
        expectNothing();
        serverAnswers(ENDED);
        await expireWebsocket(type);
        expectNotification(MESSAGE);
    });
}

test("after 4001 and after a refused call, a page asks at once only once", async () => {
    await openPage({ poll_interval: 0 });
    for (let second = 0; second < 30; second++) {
        await expireWebsocket();
        await refuseInBackground();
        await pass(1);
    }
    expect(takeRequests().length).toBeLessThan(14);
    expectNothing();
});

test("after 4001, a slow server gets another request, whose answer counts", async () => {
    const slow = new Deferred();
    serverAnswers(() => slow);
    await openPage();
    await pass(30);
    serverAnswers(ENDED);
    await expireWebsocket();
    expectNotification(MESSAGE);
    slow.resolve({ state: "alive" }); // true when it was asked
    await settle();
    expectNotification(MESSAGE);
});

test("a slow server gets no other request", async () => {
    serverAnswers(() => new Deferred());
    await openPage();
    await pass(30);
    expect(takeRequests()).toHaveLength(1);
    for (let second = 0; second < 25; second++) {
        triggerBus("BUS:RECONNECT");
        await pass(1);
    }
    expect(takeRequests()).toHaveLength(0);
    expectNothing();
});

// -----------------------------------------------------------------------------
// Hidden pages
// -----------------------------------------------------------------------------

test("a hidden page asks when it is shown", async () => {
    await openPage();
    await showPage(false);
    serverAnswers(ENDED);
    for (const type of ["CONNECT", "DISCONNECT", "RECONNECT"]) {
        await triggerBus(`BUS:${type}`);
    }
    await pass(600, 30);
    expect(takeRequests()).toHaveLength(0);
    await showPage(true);
    expectNotification(MESSAGE);
});

test("a page that was hidden for a moment polls on", async () => {
    await openPage();
    await showPage(false);
    await pass(40);
    await showPage(true);
    expect(takeRequests()).toHaveLength(1);
    await pass(31);
    expect(takeRequests()).toHaveLength(1);
});

test("a hidden page that the websocket notifies counts down when it is shown", async () => {
    serverAnswers(ENDED);
    await openPage();
    await showPage(false);
    await expireWebsocket();
    await pass(600, 30);
    expectNotification(MESSAGE);
    expect(".o_single_session_seconds").toHaveText("(5 s)");
    expect(takeRequests()).toHaveLength(1);
    await showPage(true);
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

test("a hidden page closes its notification after a new login in another tab", async () => {
    serverAnswers(ENDED);
    await openPage();
    await showPage(false);
    await expireWebsocket();
    await pass(600, 30);
    serverAnswers(ALIVE);
    await showPage(true);
    await pass(10);
    expectNothing();
});

// -----------------------------------------------------------------------------
// No answer
// -----------------------------------------------------------------------------

/** Returns how many seconds passed between the status requests. */
function takePauses() {
    const times = takeRequests().map(({ time }) => time);
    return times.slice(1).map((time, index) => Math.round((time - times[index]) / 1000));
}

for (const [what, noAnswer] of Object.entries({
    "no network": NO_NETWORK,
    "a proxy's error": BAD_GATEWAY,
    "another page": () => new Response("<html/>"),
    "an answer of another server": () => ({ state: "OK" }),
    "an empty answer": () => null,
})) {
    test(`${what} is no end, and the page asks less and less often`, async () => {
        serverAnswers(noAnswer);
        await openPage({ poll_interval: 10 });
        await pass(60, 5);
        await pass(3000, 60);
        expectNothing();
        const pauses = takePauses();
        expect(pauses.length).toBeWithin(7, 12);
        expect(Math.max(...pauses)).toBeWithin(600, 690); // as exact as the steps above
        pauses.reduce((pause, longer) => {
            expect(longer).toBeGreaterThan(pause - 61);
            return longer;
        });
    });
}

test("a status request without an answer is given up, and another one follows", async () => {
    serverAnswers(() => new Deferred());
    await openPage({ poll_interval: 0 });
    await expireWebsocket();
    await pass(40);
    expectNothing();
    serverAnswers(ENDED);
    await pass(40);
    expectNotification(MESSAGE);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

for (const [chance, seconds] of [
    [0, 10],
    [1, 15],
]) {
    test(`when a server comes back, pages ask at different times (${chance})`, async () => {
        patchWithCleanup(Math, { random: () => chance });
        serverAnswers(BAD_GATEWAY);
        await openPage({ poll_interval: 10 });
        await pass(30);
        expect(takePauses()[0]).toBe(seconds);
    });
}

test("a page that gets answers again polls again", async () => {
    serverAnswers(NO_NETWORK);
    await openPage({ poll_interval: 10 });
    await pass(100);
    serverAnswers(ALIVE);
    await pass(200);
    takeRequests();
    await pass(100);
    expect(takeRequests()).toHaveLength(10);
});

test("a page without a poll interval asks until there is an answer", async () => {
    serverAnswers(BAD_GATEWAY);
    await openPage({ poll_interval: 0 });
    await expireWebsocket();
    await pass(30);
    expectNothing();
    serverAnswers(ENDED);
    await pass(60);
    expectNotification(MESSAGE);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});

// -----------------------------------------------------------------------------
// Other databases
// -----------------------------------------------------------------------------

test("a browser that is now logged in to another database shows nothing until a click", async () => {
    serverAnswers(() => new Response("Forbidden", { status: 403 }));
    await openPage();
    await pass(30);
    expectNothing();
    await refuseCall();
    expectNotification("Your session has expired");
});

const HEALTHY = () => ({ status: "pass", db_server_status: true });
const WITHOUT_POSTGRESQL = () => new Response(`{"status": "fail"}`, { status: 500 });
const SCRIPT = () => new Response("self.addEventListener()");

for (const [what, health, serviceWorker] of [
    ["without PostgreSQL", WITHOUT_POSTGRESQL, NOT_FOUND],
    ["with a page instead of Odoo's health", () => new Response("<h1>OK</h1>"), NOT_FOUND],
    ["of a proxy that knows no page", NOT_FOUND, NOT_FOUND],
    ["in a database without the addon", HEALTHY, SCRIPT],
    ["while it starts", BAD_GATEWAY, NOT_FOUND],
]) {
    test(`a server that has no status route ${what} ends nothing`, async () => {
        const others = { "/web/health": health, "/web/service-worker.js": serviceWorker };
        serverAnswers(NOT_FOUND, others);
        await openPage({ poll_interval: 5 });
        await pass(100);
        expectNothing();
    });
}

test("a browser for which a healthy server has no database has no session any more", async () => {
    serverAnswers(NOT_FOUND, { "/web/health": HEALTHY, "/web/service-worker.js": NOT_FOUND });
    await openPage();
    await pass(30);
    expectNotification("Your session has ended", "about to refresh");
    expect(".o_single_session_notification").not.toHaveText(/another device/);
    await pass(6);
    expect.verifySteps([LOGIN_PAGE_BY_ITSELF]);
});
