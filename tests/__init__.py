from . import test_login, test_login_paths, test_register, test_users
