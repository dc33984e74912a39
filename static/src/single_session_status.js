/** @odoo-module **/
// The line above makes this file a module on Odoo 17.0. When the page asks for its session's status,
// and what the server answers.

import { browser } from "@web/core/browser/browser";

const STATUS_URL = "/op_single_session_login/status";
// in seconds
const REST = 5; // after each answer
const MAX_DELAY = 600; // between two status requests without an answer
const REQUEST_TIMEOUT = 30;

/**
 * Sends the status requests of a page, one at a time: when something may have happened, and every
 * poll interval. After each answer it rests for five seconds, whatever happens. Only what is urgent
 * makes it ask at once, and only once in that time. Without an answer, it asks again.
 */
export class StatusRequests {
    /**
     * @param {{ db: string, poll_interval: number }} config with the interval in seconds, or 0
     * @param {{ mayAsk: (isUrgent: boolean) => boolean, onStatus: (status: object) => void }} page
     */
    constructor({ db, poll_interval }, page) {
        Object.assign(this, { db, page, pollInterval: poll_interval });
        // "waiting" for the poll interval; "asked" or "asked at once", until the rest is over
        this.state = "waiting";
        this.isWanted = false; // something has happened meanwhile: ask after the rest
        this.unanswered = 0; // status requests since the last answer
        this.wait(0);
    }

    stop() {
        browser.clearTimeout(this.timer);
        this.request = null;
    }

    ask(isUrgent = false) {
        if (this.state !== "waiting" && !(isUrgent && this.state === "asked")) {
            this.isWanted = true;
        } else if (this.page.mayAsk(isUrgent)) {
            this.send(isUrgent ? "asked at once" : "asked");
        }
    }

    async send(state) {
        browser.clearTimeout(this.timer);
        const request = Symbol();
        Object.assign(this, { state, request, isWanted: false });
        const status = await fetchStatus(this.db);
        if (this.request !== request) {
            return; // stopped, or asked again at once: this answer may be older than the end
        }
        this.unanswered = status ? 0 : this.unanswered + 1;
        this.timer = browser.setTimeout(() => this.wait(REST), REST * 1000);
        if (status) {
            this.page.onStatus(status);
        }
    }

    /** Asks if something has happened during the rest, or else when the poll interval is over. */
    wait(rested) {
        this.state = "waiting";
        const backoff = REST * 2 ** this.unanswered * (1 + Math.random() / 2);
        const interval = this.unanswered ? Math.min(backoff, MAX_DELAY) : this.pollInterval;
        if (this.isWanted) {
            this.ask();
        } else if (interval) {
            this.timer = browser.setTimeout(() => this.ask(), (interval - rested) * 1000);
        }
    }
}

/**
 * Asks the server for the status of this browser's session in a database.
 *
 * @param {string} db
 * @returns {Promise<{ state: "alive" | "ended" | "none", message?: string } | null>} null without an
 *  answer, or if it is not Odoo's: a proxy's page, a server that is starting
 */
async function fetchStatus(db) {
    const timeout = new AbortController();
    browser.setTimeout(() => timeout.abort(), REQUEST_TIMEOUT * 1000);
    // Some proxies keep answers whatever their headers say: each request has a URL of its own.
    const get = (url) =>
        browser.fetch(`${url}${Date.now()}-${Math.random()}`, {
            cache: "no-store",
            headers: { "X-Odoo-Database": db }, // for 19.0, where an ended session's cookie names none
            redirect: "manual",
            signal: timeout.signal,
        });
    try {
        const response = await get(`${STATUS_URL}?unique=`);
        if (response.status === 404 && (await hasNoDatabase(get))) {
            return { state: "ended" };
        }
        if (response.status === 403) {
            return { state: "none" }; // the browser is now logged in to another database
        }
        const status = await response.json();
        return ["alive", "ended", "none"].includes(status.state) ? status : null;
    } catch {
        return null;
    }
}

/**
 * Among several databases, 17.0 and 18.0 ignore the header: the cookie of an ended session selects
 * no database, and without one there is no status route.
 */
async function hasNoDatabase(get) {
    // Without PostgreSQL, Odoo finds no database either.
    const health = await (await get("/web/health?db_server_status=")).json();
    // Every database has this route. A parameter would be logged as a warning.
    return health.status === "pass" && (await get("/web/service-worker.js#")).status === 404;
}
