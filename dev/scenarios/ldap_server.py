"""An LDAP server with one user, on a free port of 127.0.0.1. It prints the port."""

import io
import sys

from ldaptor.inmemory import fromLDIFFile
from ldaptor.interfaces import IConnectedLDAPEntry
from ldaptor.protocols.ldap.ldapserver import LDAPServer
from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.python.components import registerAdapter

DIRECTORY = """\
dn: dc=example
dc: example
objectClass: dcObject

dn: uid=lena,dc=example
uid: lena
cn: Lena
objectClass: person
userPassword: {password}

"""


class Factory(ServerFactory):
    protocol = LDAPServer

    def __init__(self, root):
        self.root = root


def serve(root):
    registerAdapter(lambda factory: factory.root, Factory, IConnectedLDAPEntry)
    port = reactor.listenTCP(0, Factory(root), interface="127.0.0.1")
    print(port.getHost().port, flush=True)


fromLDIFFile(io.BytesIO(DIRECTORY.format(password=sys.argv[1]).encode())).addCallback(serve)
reactor.run()
