/** @odoo-module **/
// The line above makes this file a module on Odoo 17.0.

import { cookie } from "@web/core/browser/cookie";
import { registry } from "@web/core/registry";

/**
 * Remembers that the login page has shown why the session ended, since it shows the reason once. The
 * server can't know it: pages are fetched in advance, rendered in hidden tabs, or read by a script.
 */
export const loginPageService = {
    start() {
        const reason = document.querySelector("[data-single-session-shown]");
        if (reason) {
            // Observers are called when the browser draws the page.
            new IntersectionObserver(([{ isIntersecting }], observer) => {
                if (isIntersecting) {
                    observer.disconnect();
                    cookie.set("op_single_session_login_shown", reason.dataset.singleSessionShown);
                }
            }).observe(reason);
        }
    },
};

registry.category("services").add("single_session_login_page", loginPageService);
