/** @odoo-module **/
// The line above makes this file a module on Odoo 17.0. Nothing is imported that differs between
// the series: a missing import disables a whole file.

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { escape } from "@web/core/utils/strings";
import { redirect } from "@web/core/utils/urls";
import { session } from "@web/session";
import { markup } from "@odoo/owl";

const STATUS_URL = "/op_single_session_login/status";
const SESSION_EXPIRED = 4001; // close code of Odoo's websocket
const COUNTDOWN = 5; // seconds
const PATIENCE = 30; // seconds that a question may take
const RETRY = 5; // seconds after which to ask again what must be known
const SLOWEST = 600; // seconds between two questions that get no answer

/**
 * Watches over the session of a page: asks the server how it stands, says so when it has ended and
 * goes to the login page. Only what the server says counts: no answer is not an end.
 */
export class SessionWatcher {
    /**
     * @param {{ db: string, poll_interval: number }} config database; seconds, 0 to ask only when
     *  something hints at an end
     * @param {Object} services
     */
    constructor({ db, poll_interval }, { bus_service, notification }) {
        this.db = db;
        this.interval = poll_interval;
        this.notification = notification;
        this.unanswered = 0; // questions since the last answer, hints not counted
        this.mustKnow = false; // something says that the session has ended
        this.letCoreHandle = null; // a refused call of this page, until it is known why
        this.toast = null;
        this.isLeaving = false;
        this.subscriptions = new AbortController();
        this.subscribe(bus_service);
        this.schedule();
    }

    subscribe(bus) {
        const on = (target, types, callback) => {
            for (const type of types) {
                target.addEventListener(type, callback, { signal: this.subscriptions.signal });
            }
        };
        // 17.0 and 18.0 have the names without "BUS:"
        on(bus, ["disconnect", "BUS:DISCONNECT"], ({ detail }) => {
            if (detail?.code === SESSION_EXPIRED) {
                this.mustKnow = true;
                this.check();
            }
        });
        // A session that ended before the websocket was there is told by nobody.
        on(bus, ["connect", "BUS:CONNECT", "reconnect", "BUS:RECONNECT"], () => this.check());
        on(browser, ["online"], () => this.check());
        on(document, ["visibilitychange"], () => (this.isVisible ? this.check() : this.schedule()));
        on(browser, ["beforeunload"], (ev) => this.isLeaving && this.forbidQuestion(ev));
        // nobody else starts it on portal and website pages
        bus.start();
    }

    stop() {
        this.subscriptions.abort();
        browser.clearTimeout(this.timer);
    }

    get isVisible() {
        return document.visibilityState === "visible";
    }

    // -------------------------------------------------------------------------
    // Asking
    // -------------------------------------------------------------------------

    /**
     * The server has refused a call of this page as if its session had ended or expired.
     *
     * @param {() => void} letCoreHandle what to do if the session is alive after all
     */
    onRefused(letCoreHandle) {
        this.mustKnow = true;
        this.letCoreHandle = letCoreHandle;
        this.check();
    }

    /** Asks how the session stands: one question at a time, and once more if it came up meanwhile. */
    async check() {
        this.mustAsk = true;
        if (this.isAsking) {
            return;
        }
        this.isAsking = true;
        if (!this.toast?.seconds) {
            browser.clearTimeout(this.timer);
        }
        let status;
        while (this.mustAsk) {
            this.mustAsk = false;
            status = await this.ask();
        }
        this.isAsking = false;
        this.react(status);
    }

    /**
     * @returns {Promise<{ state?: "alive" | "ended" | "none", message?: string }>} without a state
     *  if there was no answer, or another's: a proxy's page, a server that is starting
     */
    async ask() {
        const patience = new AbortController();
        const timer = browser.setTimeout(() => patience.abort(), PATIENCE * 1000);
        try {
            const options = {
                cache: "no-store",
                // tells the database where the cookie of an ended session no longer does
                headers: { "X-Odoo-Database": this.db },
                redirect: "manual",
                signal: patience.signal,
            };
            let response = await browser.fetch(STATUS_URL, options);
            if (response.status === 404 && (await this.nameDatabase(options))) {
                response = await browser.fetch(STATUS_URL, options);
            }
            // forbidden: the browser is now logged in to another database
            return response.status === 403 ? { state: "none" } : (await response.json()) || {};
        } catch {
            return {};
        } finally {
            browser.clearTimeout(timer);
        }
    }

    /**
     * Among several databases, 17.0 and 18.0 do not heed the header: to them the cookie of an ended
     * session is for none, and they have no status route. Naming one to the login page helps, but
     * would log out a browser that is logged in to another database, without this addon and its route.
     *
     * @returns {Promise<boolean>} whether the cookie was for no database
     */
    async nameDatabase(options) {
        // every database has this one, and no database has not
        if ((await browser.fetch("/web/service-worker.js", options)).status !== 404) {
            return false;
        }
        // Where PostgreSQL does not answer, Odoo has no database either, and its login page logs everybody out.
        if (!(await browser.fetch("/web/health?db_server_status=1", options)).ok) {
            return false;
        }
        await browser.fetch(`/web/login?${new URLSearchParams({ db: this.db })}`, options);
        return true;
    }

    react({ state, message }) {
        if (this.subscriptions.signal.aborted) {
            return;
        }
        const isKnown = ["alive", "ended", "none"].includes(state);
        const letCoreHandle = isKnown && this.letCoreHandle;
        if (isKnown) {
            this.unanswered = 0;
            this.mustKnow = false;
            this.letCoreHandle = null;
        }
        if (state === "ended") {
            this.announce(_t("Your session has ended"), message);
        } else if (state === "none" && letCoreHandle) {
            this.announce(_t("Your session has expired"), "");
        } else if (state === "alive") {
            this.dismiss();
        }
        if (isKnown && this.toast?.seconds === 0) {
            this.leave();
        } else {
            this.schedule();
        }
        if (state === "alive" && letCoreHandle) {
            letCoreHandle();
        }
    }

    /** Only pages in sight ask and count down; the others do so when they come into sight. */
    schedule() {
        browser.clearTimeout(this.timer);
        if (!this.isVisible) {
            return;
        }
        if (this.toast?.seconds) {
            this.timer = browser.setTimeout(() => this.countDown(), 1000);
            return;
        }
        const interval = this.toast || this.mustKnow ? RETRY : this.interval;
        if (interval) {
            const slowly = this.unanswered && 2 ** this.unanswered * (1 + Math.random() / 2);
            const seconds = Math.min(interval * (slowly || 1), Math.max(SLOWEST, interval));
            this.timer = browser.setTimeout(() => {
                this.unanswered++;
                this.check();
            }, seconds * 1000);
        }
    }

    // -------------------------------------------------------------------------
    // Telling
    // -------------------------------------------------------------------------

    announce(title, reason) {
        if (this.toast) {
            return;
        }
        const next = _t(
            "This page is about to refresh. Changes that you did not save were not stored.",
        );
        // The seconds are hidden from screen readers: they would read the toast at each of them.
        const text = [reason, next].filter(Boolean).join(" ");
        const seconds = `<b class="o_single_session_seconds" aria-hidden="true">${COUNTDOWN}</b>`;
        const close = this.notification.add(markup(escape(text) + " " + seconds), {
            title,
            type: "warning",
            sticky: true,
            className: "o_single_session_toast",
            buttons: [{ name: _t("Sign in"), primary: true, onClick: () => this.leave() }],
        });
        this.toast = { close, seconds: COUNTDOWN };
    }

    /** The person has logged in again in this browser. */
    dismiss() {
        this.isLeaving = false;
        this.toast?.close();
        this.toast = null;
    }

    countDown() {
        this.toast.seconds--;
        const element = document.querySelector(".o_single_session_seconds");
        if (element) {
            element.textContent = this.toast.seconds;
        }
        if (this.toast.seconds) {
            this.schedule();
        } else {
            this.check();
        }
    }

    // -------------------------------------------------------------------------
    // Leaving
    // -------------------------------------------------------------------------

    /**
     * Keeps a form that can't be saved from asking the person to stay: the page would hang on it.
     * Listeners of the window are called in the order of their subscription, and the watcher's is
     * older than any form's. They run, for what they keep in the browser: drafts of messages.
     */
    forbidQuestion(ev) {
        ev.preventDefault = () => {};
        Object.defineProperty(ev, "returnValue", { value: "", writable: true });
    }

    /** Goes to the login page, which leads back to here. */
    leave() {
        browser.clearTimeout(this.timer);
        this.isLeaving = true;
        this.toast.seconds = 0; // should the page come back, it does not count down again
        const { pathname, search, hash } = browser.location;
        const query = new URLSearchParams({ db: this.db, redirect: pathname + search + hash });
        redirect(`/web/login?${query}`);
    }
}

export const singleSessionService = {
    dependencies: ["bus_service", "notification"],

    start(env, services) {
        const config = session.op_single_session_login; // only where somebody is logged in
        // a page in a frame, as the website's preview, is watched over by the page around it
        if (config && window.parent === window) {
            return new SessionWatcher(config, services);
        }
    },
};

/** Takes what core would show a dialog for, before core does. */
export function sessionExpiredHandler(env, error, originalError) {
    const watcher = env.services.single_session;
    if (!watcher) {
        return false;
    }
    if (originalError?.constructor?.name === "ConnectionLostError") {
        // Among several databases, the server does not know whose call it refuses.
        watcher.check();
    }
    if (!isRefusal(originalError)) {
        return false;
    }
    error.unhandledRejectionEvent?.preventDefault();
    watcher.onRefused(() => {
        const handlers = registry.category("error_handlers").getAll();
        const others = handlers.filter((handler) => handler !== sessionExpiredHandler);
        others.some((handler) => handler(env, error, originalError));
    });
    return true;
}

function isRefusal(error) {
    if (error?.name !== "RPC_ERROR") {
        return false;
    }
    // By its name: auth_timeout has an exception of its own with the same code. A download gets the
    // login page instead of an error, which core takes for an error without a name.
    return !error.exceptionName || /(^|\.)SessionExpiredException$/.test(error.exceptionName);
}

registry.category("error_handlers").add("single_session", sessionExpiredHandler, { sequence: -10 });
registry.category("services").add("single_session", singleSessionService);
