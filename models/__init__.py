from . import bus_bus, ir_http, login_session, res_users
