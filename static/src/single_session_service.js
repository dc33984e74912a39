/** @odoo-module **/
// The line above makes this file a module on Odoo 17.0. Nothing is imported that differs between
// the series: a missing import disables a whole file.

import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { session } from "@web/session";
import { EndNotification, isPointOfSale, notifyNewLogin } from "./single_session_notification";
import { StatusRequests } from "./single_session_status";

const SESSION_EXPIRED = 4001; // close code of Odoo's websocket
const DELAY = 5000; // in milliseconds, at most

/**
 * Asks the server whether the session of the page has ended, shows a notification if it has, and
 * goes to the login page. Only the server's answer counts: without an answer, nothing has ended.
 */
export class SingleSession {
    constructor(env, { bus_service, notification }) {
        this.config = session.op_single_session_login;
        this.subscriptions = new AbortController(); // aborted when the service stops
        this.handleByCore = null; // shows core's dialog for a refused request
        this.end = new EndNotification(notification, this.config.db, () => this.requests.ask());
        this.requests = new StatusRequests(this.config, this);
        this.subscribe(env, bus_service);
        // Portal and website pages do not start it themselves.
        bus_service.start();
        if (!isPointOfSale()) {
            this.closeNewLogin = notifyNewLogin(env, this.config);
        }
        window.odoo.singleSession = this; // for the pages in its frames
    }

    stop() {
        this.subscriptions.abort();
        this.requests.stop();
        this.end.close();
        delete window.odoo.singleSession;
    }

    /** Listens to all that may mean an end. 17.0 and 18.0 have the names without "BUS:". */
    subscribe({ bus }, bus_service) {
        const on = (target, types, callback) => {
            for (const type of types) {
                target.addEventListener(type, callback, { signal: this.subscriptions.signal });
            }
        };
        const ask = () => this.requests.ask();
        on(bus_service, ["disconnect", "BUS:DISCONNECT"], ({ detail }) => {
            if (detail?.code === SESSION_EXPIRED) {
                this.requests.ask(true);
            } else {
                // A proxy may lose the code. Not at once: a server that stops disconnects all pages.
                browser.setTimeout(ask, DELAY * Math.random());
            }
        });
        // Nothing is sent to a page whose session ended before its websocket was connected.
        on(bus_service, ["connect", "BUS:CONNECT", "reconnect", "BUS:RECONNECT"], ask);
        const rpcModule = window.odoo.loader.modules.get("@web/core/network/rpc"); // not on 17.0
        on(rpcModule?.rpcBus || bus, ["RPC:RESPONSE"], ({ detail: { error } }) => {
            if (isRefusal(error)) {
                this.onRefused(isPointOfSale() ? () => {} : undefined);
            } else if (error?.constructor.name === "ConnectionLostError") {
                ask(); // among several databases, the server does not know whose call it refuses
            }
        });
        on(browser, ["online"], ask);
        on(document, ["visibilitychange"], ask);
        on(browser, ["pageshow"], (ev) => {
            // the user has come back to a page that was left
            if (ev.persisted && this.end.state === "leaving") {
                this.end.close();
                this.onRefused(() => {});
            }
        });
        on(browser, ["beforeunload"], (ev) => this.end.state === "leaving" && preventQuestion(ev));
    }

    /** Hidden pages ask when they are shown. A countdown ends with a status request. */
    mayAsk(isUrgent) {
        return (isUrgent || !document.hidden) && !["counting", "leaving"].includes(this.end.state);
    }

    /**
     * The server has refused a request of this page as if its session had ended or expired.
     *
     * @param {() => void} [handleByCore] called if the session is open after all. A request in the
     *  background has none: if the session has expired, it does not make a page leave that its user
     *  may be filling in.
     */
    onRefused(handleByCore = this.handleByCore) {
        this.handleByCore = handleByCore;
        this.requests.ask(true);
    }

    onStatus({ state, message }) {
        const { handleByCore } = this;
        this.handleByCore = null;
        if (state === "ended") {
            this.closeNewLogin?.();
            this.end.show(_t("Your session has ended"), message);
        } else if (state === "none" && handleByCore) {
            this.end.show(_t("Your session has expired"));
        } else if (state === "alive") {
            this.end.close();
            handleByCore?.();
        }
        if (this.end.state === "due") {
            this.end.leaveByItself();
        }
    }
}

/**
 * Keeps a form that can't be saved from asking the user to stay: the page would hang on the
 * question. The window calls its listeners in the order of their subscription, and this one is
 * older than any form's. They still run, since some keep drafts of messages in the browser.
 */
function preventQuestion(ev) {
    ev.preventDefault = () => {};
    Object.defineProperty(ev, "returnValue", { value: "", writable: true });
}

/**
 * Returns whether a page around this one runs the service for both, as around the website's preview.
 * Only pages of the same origin show their frames that they are around them.
 */
function isInsideService({ frameElement, parent }) {
    return frameElement && (parent.odoo?.singleSession || isInsideService(parent));
}

export const singleSessionService = {
    dependencies: ["bus_service", "notification"],

    start(env, services) {
        // only on pages of logged-in users
        if (session.op_single_session_login && !isInsideService(window)) {
            return new SingleSession(env, services);
        }
    },
};

/** Handles refused requests for which core would show a dialog, before core does. */
export function sessionExpiredHandler(env, error, originalError) {
    const singleSession = env.services.op_single_session_login;
    if (!singleSession || !isRefusal(originalError)) {
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

/**
 * By the error's name: auth_timeout has an exception of its own with the same code. A download gets
 * the login page, which core takes for an error without a name.
 */
function isRefusal(error) {
    const name = error?.exceptionName || "";
    return error?.name === "RPC_ERROR" && /^$|(^|\.)SessionExpiredException$/.test(name);
}

registry
    .category("error_handlers")
    .add("op_single_session_login", sessionExpiredHandler, { sequence: -10 });
registry.category("services").add("op_single_session_login", singleSessionService);
