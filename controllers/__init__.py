from . import home, status
