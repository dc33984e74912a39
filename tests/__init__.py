from . import (
    test_administration,
    test_browser,
    test_login,
    test_login_log,
    test_login_paths,
    test_session_store,
    test_status,
    test_users,
)
