from . import test_login
from . import test_login_paths
from . import test_register
from . import test_users
