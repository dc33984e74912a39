/** @odoo-module **/
// The line above makes this file a module on Odoo 17.0. Nothing is imported that differs between
// the series: a missing import disables a whole file.

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { patch } from "@web/core/utils/patch";
import { escape } from "@web/core/utils/strings";
import { redirect } from "@web/core/utils/urls";
import { session } from "@web/session";
import { markup } from "@odoo/owl";

const STATUS_URL = "/op_single_session_login/status";
const LOGIN_URL = "/web/login";
const SESSION_EXPIRED = 4001; // close code of Odoo's websocket
// in seconds
const COUNTDOWN = 5;
const REQUEST_TIMEOUT = 30;
const RETRY_DELAY = 5; // until a page asks again what it must know
const MAX_DELAY = 600; // between two status requests without an answer
const LEAVE_INTERVAL = 600; // between two pages of this browser that are left by themselves
// in the browser's storage
const LEFT_AT = "op_single_session_login.left_at"; // when a page was left by itself, in milliseconds
const SHOWN_LOGIN = "op_single_session_login.shown_login"; // the last login that was shown to have ended others
// Single sign-on must not log in without a click: two open browsers would end each other's session
// again and again. OCA's auth_oauth_autologin and auth_saml obey these parameters.
const NO_SINGLE_SIGN_ON = { no_autologin: "1", disable_autoredirect: "1" };

/**
 * Asks the server whether the session of the page has ended, shows a notification if it has, and
 * goes to the login page. Only the server's answer counts: without an answer, nothing has ended.
 */
export class SingleSession {
    constructor(env, services) {
        this.env = env;
        this.config = session.op_single_session_login; // db: the database; poll_interval: in seconds, or 0
        this.fetch = browser.fetch; // before it is patched
        this.subscriptions = new AbortController(); // aborted when the service stops
        this.timer = null; // of the next status request, or of the countdown
        this.isChecking = false; // a status request is under way
        this.mustCheckAgain = false; // something has happened since it was sent
        this.unanswered = 0; // status requests by the clock since the last answer
        this.isEndLikely = false; // the session may have ended: ask until it is known
        this.isRefused = false; // the server refused a request of this page
        this.handleByCore = null; // shows core's dialog for that request
        this.notification = null; // the one that is shown: { title, reason, close, seconds }
        this.isLeaving = false; // the page is going to the login page
        this.setup(env, services);
    }

    setup(env, { bus_service, notification }) {
        this.notificationService = notification;
        const on = (target, types, callback) => {
            for (const type of types) {
                target.addEventListener(type, callback, { signal: this.subscriptions.signal });
            }
        };
        // 17.0 and 18.0 have the names without "BUS:"
        on(bus_service, ["disconnect", "BUS:DISCONNECT"], ({ detail }) => {
            this.isEndLikely = true;
            if (detail?.code === SESSION_EXPIRED) {
                this.checkSession();
            } else {
                // A proxy may lose the code. Not at once: a server that stops disconnects all pages.
                this.schedule();
            }
        });
        // Nothing is sent to a page whose session ended before its websocket was connected.
        on(bus_service, ["connect", "BUS:CONNECT", "reconnect", "BUS:RECONNECT"], () =>
            this.checkSession(),
        );
        on(browser, ["online"], () => this.checkSession());
        on(document, ["visibilitychange"], () =>
            this.isVisible ? this.checkSession() : this.schedule(),
        );
        on(browser, ["beforeunload"], (ev) => this.isLeaving && this.preventQuestion(ev));
        this.patchRequests();
        // Portal and website pages do not start it themselves.
        bus_service.start();
        this.schedule();
        if (this.config.ended_by_login && !isPointOfSale()) {
            this.notifyNewLogin(this.config.ended_by_login);
        }
        window.odoo.singleSession = this; // for the pages in its frames
    }

    stop() {
        this.subscriptions.abort();
        browser.clearTimeout(this.timer);
        delete window.odoo.singleSession;
    }

    get isVisible() {
        return document.visibilityState === "visible";
    }

    // -------------------------------------------------------------------------
    // Requests of the page that the server refuses
    // -------------------------------------------------------------------------

    /** Watches the page's requests. Uploads and the Point of Sale show errors of their own, or none. */
    patchRequests() {
        const onResponse = this.onResponse.bind(this);
        const unpatch = [
            patch(browser, {
                async fetch() {
                    const response = await super.fetch(...arguments);
                    onResponse(response.url, response.status);
                    return response;
                },
            }),
            patch(XMLHttpRequest.prototype, {
                send() {
                    this.addEventListener("load", () =>
                        onResponse(this.responseURL, this.status, this),
                    );
                    return super.send(...arguments);
                },
            }),
        ];
        this.subscriptions.signal.addEventListener("abort", () =>
            unpatch.forEach((call) => call()),
        );
    }

    /**
     * @param {string} url where the response came from
     * @param {number} status
     * @param {XMLHttpRequest} [xhr]
     */
    onResponse(url, status, xhr) {
        const { origin, pathname } = new URL(url || "/", browser.location.origin);
        if (origin !== browser.location.origin) {
            return;
        }
        if (pathname.endsWith(LOGIN_URL) || (xhr && isExpiredAnswer(xhr))) {
            this.onRefused();
        } else if (status >= 400 && status < 500) {
            this.checkSession();
        }
    }

    /**
     * The server has refused a request of this page as if its session had ended or expired.
     *
     * @param {() => void} [handleByCore] called if the session is open after all
     */
    onRefused(handleByCore) {
        this.isEndLikely = true;
        this.isRefused = true;
        this.handleByCore = handleByCore || this.handleByCore;
        this.checkSession();
    }

    // -------------------------------------------------------------------------
    // Status requests
    // -------------------------------------------------------------------------

    /** Asks for the session's status: one request at a time, and one more if this was called meanwhile. */
    async checkSession() {
        this.mustCheckAgain = true;
        if (this.isChecking) {
            return;
        }
        this.isChecking = true;
        if (!this.notification?.seconds) {
            browser.clearTimeout(this.timer);
        }
        let status;
        while (this.mustCheckAgain) {
            this.mustCheckAgain = false;
            status = await this.fetchStatus();
        }
        this.isChecking = false;
        this.onStatus(status);
    }

    /**
     * @returns {Promise<{ state?: "alive" | "ended" | "none", message?: string }>} without a state
     *  if there was no answer or it was not Odoo's: a proxy's page, a server that is starting
     */
    async fetchStatus() {
        const timeout = new AbortController();
        const timer = browser.setTimeout(() => timeout.abort(), REQUEST_TIMEOUT * 1000);
        try {
            const options = {
                cache: "no-store",
                // names the database where the cookie of an ended session no longer does
                headers: { "X-Odoo-Database": this.config.db },
                redirect: "manual",
                signal: timeout.signal,
            };
            let response = await this.fetch(STATUS_URL, options);
            if (response.status === 404 && (await this.selectDatabase(options))) {
                response = await this.fetch(STATUS_URL, options);
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
     * Among several databases, 17.0 and 18.0 ignore the header: the cookie of an ended session selects
     * no database, and without one there is no status route. The login page selects one. But it would
     * log out a browser that is logged in to another database where this addon is not installed.
     *
     * @returns {Promise<boolean>} whether the cookie had selected no database
     */
    async selectDatabase(options) {
        // Every database has this route. Without a database it is missing.
        if ((await this.fetch("/web/service-worker.js", options)).status !== 404) {
            return false;
        }
        // Without PostgreSQL, Odoo finds no database either, and its login page logs everybody out.
        if (!(await this.fetch("/web/health?db_server_status=1", options)).ok) {
            return false;
        }
        await this.fetch(`${LOGIN_URL}?${new URLSearchParams({ db: this.config.db })}`, options);
        return true;
    }

    onStatus({ state, message }) {
        if (this.subscriptions.signal.aborted) {
            return;
        }
        if (!["alive", "ended", "none"].includes(state)) {
            this.schedule();
            return;
        }
        const { isRefused, handleByCore } = this;
        const isBack = this.isLeaving; // the user has come back to a page that was left
        this.unanswered = 0;
        this.isEndLikely = false;
        this.isRefused = false;
        this.handleByCore = null;
        if (isBack || state === "alive") {
            this.closeNotification();
        }
        if (state === "ended") {
            this.notify(_t("Your session has ended"), message);
        } else if (state === "none" && (handleByCore || isBack || (isRefused && isPointOfSale()))) {
            // Elsewhere, a request in the background does not make a page leave that its user may be filling in.
            this.notify(_t("Your session has expired"), "");
        }
        if (this.notification?.seconds === 0) {
            this.leaveByItself();
        } else {
            this.schedule();
        }
        if (state === "alive" && handleByCore) {
            handleByCore();
        }
    }

    /** Only visible pages ask by the clock and count down. */
    schedule() {
        browser.clearTimeout(this.timer);
        if (!this.isVisible) {
            return;
        }
        if (this.notification?.seconds) {
            this.timer = browser.setTimeout(() => this.countDown(), 1000);
            return;
        }
        const isUrgent = this.isEndLikely || this.notification?.seconds === 0;
        const interval = isUrgent ? RETRY_DELAY : this.config.poll_interval;
        if (interval) {
            const factor = this.unanswered ? 2 ** this.unanswered * (1 + Math.random() / 2) : 1;
            const seconds = Math.min(interval * factor, Math.max(MAX_DELAY, interval));
            this.timer = browser.setTimeout(() => {
                this.unanswered++;
                this.checkSession();
            }, seconds * 1000);
        }
    }

    // -------------------------------------------------------------------------
    // Notifications
    // -------------------------------------------------------------------------

    /**
     * Shows that the session has ended or expired.
     *
     * @param {string} title
     * @param {string} reason
     * @param {boolean} [isLeft] whether the page is left by itself after a countdown, or only by the
     *  button. In the Point of Sale, a payment terminal may be at work.
     */
    notify(title, reason, isLeft = !isPointOfSale() && !hasLeftLately()) {
        if (this.notification) {
            return;
        }
        let next = _t("This page is about to refresh. Unsaved changes are lost.");
        if (isPointOfSale()) {
            next = _t("Log in to continue. Your orders are kept.");
        } else if (!isLeft) {
            next = _t("Log in to continue. Unsaved changes are lost.");
        }
        // Hidden from screen readers, which would read the notification again each second.
        const seconds = `<span class="o_single_session_seconds" aria-hidden="true">${formatSeconds(COUNTDOWN)}</span>`;
        const lines = [
            `<strong>${escape(title)}</strong>`,
            escape(reason),
            escape(next) + (isLeft ? ` ${seconds}` : ""),
        ];
        const message = lines.filter(Boolean).map((line) => `<div>${line}</div>`);
        const close = this.notificationService.add(markup(message.join("")), {
            type: "warning",
            sticky: true,
            className: "o_single_session_notification o_single_session_ended",
            buttons: [{ name: _t("Log in"), primary: true, onClick: () => this.leave() }],
        });
        this.notification = { title, reason, close, seconds: isLeft ? COUNTDOWN : null };
    }

    closeNotification() {
        this.isLeaving = false;
        this.notification?.close();
        this.notification = null;
    }

    countDown() {
        this.notification.seconds--;
        const element = document.querySelector(".o_single_session_seconds");
        if (element) {
            element.textContent = formatSeconds(this.notification.seconds);
        }
        if (this.notification.seconds) {
            this.schedule();
        } else {
            this.checkSession();
        }
    }

    /**
     * Shows once in this browser which sessions its login ended.
     *
     * @param {{ id: number, user_id: number, message: string }} login
     */
    notifyNewLogin({ id, user_id, message }) {
        const shown = `${this.config.db} ${id}`;
        try {
            if (browser.localStorage.getItem(SHOWN_LOGIN) === shown) {
                return;
            }
            browser.localStorage.setItem(SHOWN_LOGIN, shown);
        } catch {
            // A browser that can't remember it shows it on each page for a few minutes.
        }
        const text = `${message} ${_t("If this wasn't you, change your password.")}`;
        const onClick = () => {
            close();
            this.openPreferences(user_id);
        };
        const close = this.notificationService.add(text, {
            type: "info",
            sticky: true,
            className: "o_single_session_notification",
            buttons: [{ name: _t("Change password"), onClick }],
        });
    }

    async openPreferences(userId) {
        const { action, orm } = this.env.services;
        if (action) {
            const preferences = await orm.call("res.users", "action_get");
            action.doAction({ ...preferences, res_id: userId });
        } else {
            redirect("/my/security");
        }
    }

    // -------------------------------------------------------------------------
    // Leaving
    // -------------------------------------------------------------------------

    /**
     * Keeps a form that can't be saved from asking the user to stay: the page would hang on the
     * question. The window calls its listeners in the order of their subscription, and this one is
     * older than any form's. They still run, since some keep drafts of messages in the browser.
     */
    preventQuestion(ev) {
        ev.preventDefault = () => {};
        Object.defineProperty(ev, "returnValue", { value: "", writable: true });
    }

    /**
     * Goes to the login page without a click. If that page logs in whatever its parameters say, each
     * of two browsers does so once. Then both stay and show the reason.
     */
    leaveByItself() {
        try {
            browser.localStorage.setItem(LEFT_AT, Date.now());
        } catch {
            // The next page of this browser could not know about this one.
            const { title, reason } = this.notification;
            this.closeNotification();
            this.notify(title, reason, false);
            this.schedule();
            return;
        }
        this.leave(NO_SINGLE_SIGN_ON);
    }

    /** Goes to the login page, which leads back to this page. */
    leave(parameters = {}) {
        browser.clearTimeout(this.timer);
        this.isLeaving = true;
        const { pathname, search, hash } = browser.location;
        const page = pathname + search + hash;
        const query = new URLSearchParams({ db: this.config.db, redirect: page, ...parameters });
        redirect(`${LOGIN_URL}?${query}`);
    }
}

function formatSeconds(seconds) {
    return _t("(%s s)", seconds);
}

function isPointOfSale() {
    return "pos_session_id" in window.odoo;
}

function hasLeftLately() {
    const leftAt = Number(browser.localStorage.getItem(LEFT_AT));
    return Math.abs(Date.now() - leftAt) < LEAVE_INTERVAL * 1000; // the clock may have been set back
}

/** Returns whether a page around this one runs the service for both, as around the website's preview. */
function hasServiceOutside() {
    for (let page = window; page !== page.parent; page = page.parent) {
        try {
            if (page.parent.odoo?.singleSession) {
                return true;
            }
        } catch {
            // a page of another origin
        }
    }
    return false;
}

/** Returns whether a JSON-RPC request was answered with a SessionExpiredException. */
function isExpiredAnswer(xhr) {
    const isText = ["", "text"].includes(xhr.responseType); // of others, the text can't be read
    return isText && /SessionExpiredException/.test(xhr.responseText.slice(0, 1000));
}

export const singleSessionService = {
    dependencies: ["bus_service", "notification"],

    start(env, services) {
        // only on pages of logged-in users
        if (session.op_single_session_login && !hasServiceOutside()) {
            return new SingleSession(env, services);
        }
    },
};

/** Handles the errors for which core would show a dialog, before core does. */
export function sessionExpiredHandler(env, error, originalError) {
    const singleSession = env.services.op_single_session_login;
    if (!singleSession) {
        return false;
    }
    if (originalError?.constructor?.name === "ConnectionLostError") {
        // Among several databases, the server does not know whose request it refuses.
        singleSession.checkSession();
    }
    if (!isRefusal(originalError)) {
        return false;
    }
    error.unhandledRejectionEvent?.preventDefault();
    singleSession.onRefused(() => {
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

registry
    .category("error_handlers")
    .add("op_single_session_login", sessionExpiredHandler, { sequence: -10 });
registry.category("services").add("op_single_session_login", singleSessionService);
