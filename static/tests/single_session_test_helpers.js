import { after, afterEach, beforeEach, expect } from "@odoo/hoot";
import { click } from "@odoo/hoot-dom";
import { advanceTime, animationFrame } from "@odoo/hoot-mock";
import { EventBus } from "@odoo/owl";
import {
    getService,
    mockService,
    mountWithCleanup,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";
import { browser } from "@web/core/browser/browser";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { ConnectionLostError, RPCError, rpcBus } from "@web/core/network/rpc";
import { session } from "@web/session";

export const MESSAGE = "Your account was used to log in on another device: Firefox (Linux), 10:31.";
export const ALIVE = () => ({ state: "alive" });
export const ENDED = () => ({ state: "ended", message: MESSAGE });
export const NONE = () => ({ state: "none" });
export const NO_NETWORK = () => Promise.reject(new TypeError("Failed to fetch"));
export const BAD_GATEWAY = () => new Response("<h1>502</h1>", { status: 502 });
export const NOT_FOUND = () => new Response("<h1>404</h1>", { status: 404 });
// where the button leads, and where the page goes after the countdown
export const LOGIN_PAGE = "/web/login?db=prod&redirect=%2Fodoo%2Fcontacts%3Fdebug%3D1%23here";
export const LOGIN_PAGE_BY_ITSELF = `${LOGIN_PAGE}&no_autologin=1&disable_autoredirect=1`;

const STATUS_URL = "/op_single_session_login/status";
const REST = 4900; // in milliseconds, a little less than five seconds

let requests; // the status requests that were sent: { url, time, isUrgent }
let answers; // what the server answers, by path
let isUrgent; // what happens now makes a page ask at once

/** Prepares each test of a file, and checks after each that no page asked too often. */
export function setupSingleSession() {
    beforeEach(() => {
        requests = [];
        answers = {};
        isUrgent = false;
        serverAnswers(ALIVE);
        mockBus();
        mockBrowser();
    });
    afterEach(expectFewRequests);
}

function mockBus() {
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
    // While a test runs, this is not the loader that has loaded its modules.
    const modules = [...window.odoo.loader.modules, ["@web/core/network/rpc", { rpcBus }]];
    patchWithCleanup(window.odoo.loader, { modules: new Map(modules) });
}

function mockBrowser() {
    browser.location.href = "/odoo/contacts?debug=1#here";
    patchWithCleanup(browser.location, {
        assign: (url) => expect.step(url.replace(browser.location.origin, "")),
    });
    patchWithCleanup(browser, {
        async fetch(url, options) {
            const { pathname } = new URL(url, "https://example.com");
            if (pathname === STATUS_URL) {
                requests.push({ url, time: Date.now(), isUrgent });
                expect(options.headers).toEqual({ "X-Odoo-Database": "prod" });
            } else if (!(pathname in answers)) {
                return super.fetch(...arguments);
            }
            expect(options.cache).toBe("no-store");
            expect(options.redirect).toBe("manual");
            await animationFrame(); // no answer arrives before the page has handled what made it ask
            const patience = new Promise((_, reject) =>
                options.signal.addEventListener("abort", () => reject(new Error("aborted"))),
            );
            const body = await Promise.race([answers[pathname](), patience]);
            return body instanceof Response ? body : new Response(JSON.stringify(body));
        },
    });
}

// -----------------------------------------------------------------------------
// The server
// -----------------------------------------------------------------------------

/**
 * @param {() => any} status the answers to status requests from now on
 * @param {Object<string, () => any>} [others] the answers to other requests, by path
 */
export function serverAnswers(status, others = {}) {
    answers = { [STATUS_URL]: status, ...others };
}

/** Returns the status requests that the page has sent since the last call. */
export function takeRequests() {
    const taken = requests.filter((request) => !request.isTaken);
    taken.forEach((request) => (request.isTaken = true));
    return taken;
}

/** For requests of several pages. */
export function forgetRequests() {
    requests = [];
}

/**
 * Whatever happens, a page sends at most one status request in five seconds. Only what is urgent
 * makes it ask at once, and once in that time.
 */
function expectFewRequests() {
    for (const [index, request] of requests.entries()) {
        const before = requests.slice(0, index).filter(({ time }) => request.time - time < REST);
        expect(before.length).toBeLessThan(request.isUrgent ? 2 : 1);
        expect(before.some((earlier) => earlier.isUrgent)).toBe(false);
    }
}

// -----------------------------------------------------------------------------
// The page
// -----------------------------------------------------------------------------

/** Opens a page of a logged-in user. */
export async function openPage(info) {
    setInfo(info);
    await mountWithCleanup(MainComponentsContainer);
    after(() => getService("op_single_session_login").stop());
    await settle();
}

/** Sets what the server says in each page. */
export function setInfo(info) {
    patchWithCleanup(session, {
        op_single_session_login: {
            db: "prod",
            poll_interval: 30,
            user_id: 2,
            login_id: null,
            ended: [],
            ...info,
        },
    });
}

export function showPage(isVisible) {
    const visibilityState = isVisible ? "visible" : "hidden";
    patchWithCleanup(document, { hidden: !isVisible, visibilityState });
    document.dispatchEvent(new Event("visibilitychange"));
    return settle();
}

/** Returns to a page that the browser has kept. */
export function comeBack() {
    return urgently(() => {
        window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
        return showPage(true);
    });
}

export function triggerBus(type, detail) {
    getService("bus_service").trigger(type, detail);
    return settle();
}

/** Closes the websocket because the session has expired. */
export function expireWebsocket(type = "BUS:DISCONNECT") {
    return urgently(() => triggerBus(type, { code: 4001 }));
}

/** Lets the server refuse a call of a user's click. */
export async function refuseCall(exceptionName = "odoo.http.SessionExpiredException") {
    const error = Object.assign(new RPCError("refused"), { exceptionName, code: 100, data: {} });
    await urgently(() => {
        if (exceptionName) {
            answerCall(error);
        } // else a download, which is no call
        return reject(error);
    });
    expect.verifyErrors([/refused/]);
}

/** Lets the server refuse a call whose error is shown by nobody. */
export function refuseInBackground() {
    const exceptionName = "odoo.http.SessionExpiredException";
    const error = Object.assign(new RPCError("refused"), { exceptionName });
    return urgently(() => {
        answerCall(error);
        return settle();
    });
}

async function urgently(happen) {
    isUrgent = true;
    await happen();
    isUrgent = false;
}

/** Lets a call fail for want of an answer that is Odoo's. */
export async function loseConnection() {
    const error = new ConnectionLostError("/web/dataset/call_kw");
    answerCall(error);
    await reject(error);
    expect.verifyErrors([/couldn't be established/]);
}

function answerCall(error) {
    rpcBus.trigger("RPC:RESPONSE", { data: { id: 0, params: {} }, settings: {}, error });
}

function reject(error) {
    expect.errors(1);
    Promise.reject(error);
    return settle();
}

export async function settle() {
    for (let frame = 0; frame < 3; frame++) {
        await animationFrame();
    }
}

/** Lets time pass in steps, between which answers arrive. */
export async function pass(seconds, step = 1) {
    for (let second = 0; second < seconds; second += step) {
        await advanceTime(step * 1000);
    }
    await settle();
}

/** Lets the browser's storage take nothing more of this addon. */
export function fillStorage() {
    patchWithCleanup(browser.localStorage, {
        setItem(key) {
            if (key.startsWith("op_single_session_login")) {
                throw new DOMException("full", "QuotaExceededError");
            }
            return super.setItem(...arguments);
        },
    });
}

/** Sets when a page of this browser was last left by itself. */
export function leftByItself(secondsAgo) {
    const leftAt = Date.now() - secondsAgo * 1000;
    browser.localStorage.setItem("op_single_session_login.left_at", leftAt);
}

// -----------------------------------------------------------------------------
// What users see
// -----------------------------------------------------------------------------

export function expectNotification(...texts) {
    expect(".o_single_session_notification").toHaveCount(1);
    for (const text of texts) {
        expect(".o_single_session_notification").toHaveText(
            new RegExp(text.replace(/[().]/g, "\\$&")),
        );
    }
}

export function expectNothing() {
    expect(".o_notification").toHaveCount(0);
    expect(".o_dialog").toHaveCount(0);
}

export function clickButton() {
    return click(".o_single_session_notification .o_notification_buttons button");
}
