/** @odoo-module **/
// The line above makes this file a module on Odoo 17.0. What users see, and how the page is left.

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { escape } from "@web/core/utils/strings";
import { redirect } from "@web/core/utils/urls";
import { markup } from "@odoo/owl";

// in seconds
const COUNTDOWN = 5;
const LEAVE_INTERVAL = 600; // between two pages of this browser that are left by themselves
// in the browser's storage
const LEFT_AT = "op_single_session_login.left_at"; // when a page was left by itself, in milliseconds
const LOGINS = "op_single_session_login.logins."; // by database: the last ten logins of this browser
// Single sign-on must not log in without a click: two open browsers would end each other's session
// again and again. OCA's auth_oauth_autologin and auth_saml obey these parameters.
const NO_SINGLE_SIGN_ON = { no_autologin: "1", disable_autoredirect: "1" };

export function isPointOfSale() {
    return "pos_session_id" in window.odoo;
}

// -----------------------------------------------------------------------------
// The browser whose session has ended
// -----------------------------------------------------------------------------

/** The notification that the session has ended or expired, and the way to the login page. */
export class EndNotification {
    /**
     * @param {object} service Odoo's notification service
     * @param {string} db the database of the page
     * @param {() => void} onDue called when the countdown is over
     */
    constructor(service, db, onDue) {
        Object.assign(this, { service, db, onDue });
        // "closed"; "counting" down, then "due" to leave; "staying" until a click; "leaving"
        this.state = "closed";
    }

    show(title, reason = "") {
        if (this.state !== "closed") {
            return;
        }
        this.state = mayLeaveByItself() ? "counting" : "staying";
        const lines = [`<strong>${escape(title)}</strong>`, escape(reason), this.describeNext()];
        const message = lines.filter(Boolean).map((line) => `<div>${line}</div>`);
        this.remove = this.service.add(markup(message.join("")), {
            type: "warning",
            sticky: true,
            className: "o_single_session_notification o_single_session_ended",
            buttons: [{ name: _t("Log in"), primary: true, onClick: () => this.leave() }],
        });
        if (this.state === "counting") {
            this.countDown(COUNTDOWN);
        }
    }

    describeNext() {
        if (this.state === "counting") {
            const next = escape(_t("This page is about to refresh. Unsaved changes will be lost."));
            // Hidden from screen readers, which would read the notification again each second.
            return `${next} <span class="o_single_session_seconds" aria-hidden="true">${_t("(%s s)", COUNTDOWN)}</span>`;
        }
        return isPointOfSale()
            ? escape(_t("Log in to continue. Your orders are kept."))
            : escape(_t("Log in to continue. Unsaved changes will be lost."));
    }

    /** Counts while the page is visible. */
    countDown(seconds) {
        const element = document.querySelector(".o_single_session_seconds");
        element?.replaceChildren(_t("(%s s)", seconds));
        if (!seconds) {
            this.state = "due";
            this.onDue();
            return;
        }
        const next = document.hidden ? seconds : seconds - 1;
        this.timer = browser.setTimeout(() => this.countDown(next), 1000);
    }

    close() {
        browser.clearTimeout(this.timer);
        this.remove?.();
        this.state = "closed";
    }

    /**
     * Goes to the login page without a click. If that page logs in whatever its parameters say, each
     * of two browsers does so once. Then both stay and show the reason.
     */
    leaveByItself() {
        browser.localStorage.setItem(LEFT_AT, Date.now());
        this.leave(NO_SINGLE_SIGN_ON);
    }

    /** Goes to the login page, which leads back to this page. */
    leave(parameters = {}) {
        browser.clearTimeout(this.timer);
        this.state = "leaving";
        const { pathname, search, hash } = browser.location;
        const page = pathname + search + hash;
        const query = new URLSearchParams({ db: this.db, redirect: page, ...parameters });
        redirect(`/web/login?${query}`);
    }
}

/** Not in the Point of Sale, where a payment terminal may be at work. */
function mayLeaveByItself() {
    try {
        const leftAt = Number(browser.localStorage.getItem(LEFT_AT));
        browser.localStorage.setItem(LEFT_AT, leftAt); // throws if this page could not be remembered
        // the clock may have been set back
        return !isPointOfSale() && Math.abs(Date.now() - leftAt) >= LEAVE_INTERVAL * 1000;
    } catch {
        return false;
    }
}

// -----------------------------------------------------------------------------
// The browser that has logged in
// -----------------------------------------------------------------------------

/**
 * Shows once in this browser which sessions of other browsers its login ended.
 *
 * @param {object} env
 * @param {{ db: string, user_id: number, login_id: number | null, ended: object[] }} login
 * @returns {(() => void) | undefined} closes the notification
 */
export function notifyNewLogin({ services }, login) {
    const ended = findOthers(login);
    if (ended.length) {
        const text = `${describe(ended)} ${_t("If this wasn't you, change your password.")}`;
        const onClick = () => openPreferences(services, login.user_id, close);
        const close = services.notification.add(text, {
            type: "info",
            sticky: true,
            className: "o_single_session_notification",
            buttons: [{ name: _t("Change password"), onClick }],
        });
        return close;
    }
}

/**
 * Returns the ended sessions that were not this browser's own, and remembers the login. The server
 * can't know them all: a browser may log in without the cookie of its last session.
 */
function findOthers({ db, login_id, ended }) {
    let logins = [];
    try {
        logins = [].concat(JSON.parse(browser.localStorage.getItem(LOGINS + db)) ?? []);
        if (login_id && !logins.includes(login_id)) {
            const newest = [login_id, ...logins].slice(0, 10);
            browser.localStorage.setItem(LOGINS + db, JSON.stringify(newest));
        }
    } catch {
        // A browser that can't remember it shows the notification on each page for a few minutes.
    }
    return logins.includes(login_id) ? [] : ended.filter(({ id }) => !logins.includes(id));
}

function describe(ended) {
    const values = { count: ended.length, ...ended[0] };
    return ended.length === 1
        ? _t("This login ended your session on %(device)s, open since %(date)s.", values)
        : _t(
              "This login ended %(count)s of your sessions, the newest on %(device)s, open since %(date)s.",
              values,
          );
}

/** Opens the preferences, or outside the backend the portal's page about security. */
async function openPreferences({ action, orm }, userId, close) {
    close();
    if (action) {
        const preferences = await orm.call("res.users", "action_get");
        action.doAction({ ...preferences, res_id: userId });
    } else {
        redirect("/my/security");
    }
}
