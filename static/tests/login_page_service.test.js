import { loginPageService } from "@op_single_session_login/login_page_service";
import { after, describe, expect, getFixture, test } from "@odoo/hoot";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";
import { cookie } from "@web/core/browser/cookie";

describe.current.tags("desktop");

let observed;

/** Opens a login page with these elements. */
function openLoginPage(html) {
    observed = null;
    patchWithCleanup(window, {
        IntersectionObserver: class {
            constructor(callback) {
                this.draw = (isIntersecting) => callback([{ isIntersecting }], this);
            }
            observe(element) {
                observed = this;
                expect.step(`observed: ${element.textContent}`);
            }
            disconnect() {
                expect.step("observed no more");
            }
        },
    });
    getFixture().innerHTML = html;
    after(() => cookie.delete("op_single_session_login_shown"));
    loginPageService.start();
}

test("a reason counts as shown when the browser has drawn it", async () => {
    openLoginPage(`<div data-single-session-shown="0123abcd">Your session has ended.</div>`);
    expect.verifySteps(["observed: Your session has ended."]);
    observed.draw(false);
    expect(cookie.get("op_single_session_login_shown")).toBe(undefined);
    observed.draw(true);
    expect(cookie.get("op_single_session_login_shown")).toBe("0123abcd");
    expect.verifySteps(["observed no more"]);
});

test("a page without a reason is not observed", async () => {
    openLoginPage(`<div>Your session has ended.</div>`);
    expect(observed).toBe(null);
});
