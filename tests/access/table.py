"""Who may do what. Every route, tool and command has its place here, or its test fails.

The matrices say what a kind of credential (above) is answered at a group (left):

    in       it gets in, and the view or operation decides the rest
    sign-in  it is sent to the sign-in page
    set-up   it is sent to where two-factor sign-in is set up
    proof    it is asked once more who it is
    401      it is nobody, as though it had sent nothing
    403      it is known and may not
    404      it is known, and to it there is no such project
"""

from __future__ import annotations

Matrix = dict[str, dict[str, str]]


def _matrix(text: str) -> Matrix:
    head, *rows = (line.split() for line in text.strip().splitlines())
    return {row[0]: dict(zip(head, row[1:], strict=True)) for row in rows}


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Browsers at pages. They come with a session of: nobody, somebody whose code is still to come,
# somebody who has signed out, was idle for too long, or is disabled; a customer, an admin, an admin
# whose last proof is old, and one who has yet to set up the second factor that is demanded.
AT_PAGES = _matrix("""
            nobody   half     over     idle     disabled  customer  admin  unproven  not-set-up
everyone    in       in       in       in       in        in        in     in        in
newcomers   sign-in  sign-in  sign-in  sign-in  sign-in   in        in     in        in
beginners   sign-in  sign-in  sign-in  sign-in  sign-in   in        in     proof     in
people      sign-in  sign-in  sign-in  sign-in  sign-in   in        in     in        set-up
proven      sign-in  sign-in  sign-in  sign-in  sign-in   in        in     proof     set-up
admins      sign-in  sign-in  sign-in  sign-in  sign-in   403       in     in        set-up
proven-admins sign-in sign-in sign-in  sign-in  sign-in   403       in     proof     set-up
""")

# By their endpoints, whose addresses are theirs alone.
PAGES: dict[str, tuple[str, ...]] = {
    "everyone": _names("""
        auth.sign_in auth.enter auth.ask_code auth.finish passkeys.ask passkeys.enter
        welcome.show welcome.choose client_settings.show
    """),
    "newcomers": _names("auth.leave two_factor.index two_factor.confirm passkeys.add"),
    "beginners": _names("two_factor.begin passkeys.begin"),
    "people": _names("""
        overview.index docs.index connect.index consent.ask consent.decide
        account.index account.choose_theme account.confirm_places account.disconnect
        account.edit_password account.end_others account.end_session
        two_factor.end two_factor.renew_codes
        passkeys.ask_for_proof passkeys.show passkeys.rename
        approvals.index approvals.show approvals.refuse approvals.change_setting
        domains.index domains.new domains.link domains.show domains.verify domains.enable
        domains.confirm_disable domains.disable domains.confirm_unlink
        records.check records.polled records.download
        mailboxes.index mailboxes.new mailboxes.add mailboxes.show mailboxes.live mailboxes.edit
        mailboxes.edit_password mailboxes.remove mailboxes.restore mailboxes.change_several
        mailboxes.confirm_delete mailbox_links.make mailbox_links.revoke
        tokens.index tokens.new tokens.confirm_revoke tokens.revoke
    """),
    "proven": _names("""
        approvals.approve domains.unlink mailboxes.delete tokens.add passkeys.remove
    """),
    "admins": _names("""
        admin_audit.index admin_audit.download
        admin_domains.index admin_domains.new admin_domains.add admin_domains.show
        admin_domains.assign admin_domains.register admin_domains.confirm_remove
        admin_homes.confirm admin_homes.place admin_keys.show
        admin_losses.confirm admin_losses.index admin_losses.download
        admin_nodes.index admin_nodes.show admin_nodes.first_sync admin_nodes.rename
        admin_nodes.pause admin_nodes.resume admin_nodes.confirm_remove
        admin_people.index admin_people.new admin_people.show
        admin_projects.index admin_projects.add admin_projects.show
    """),
    "proven-admins": _names("""
        admin_domains.remove admin_keys.collect admin_losses.lose admin_losses.send_links
        admin_nodes.add admin_nodes.remove admin_nodes.rotate
        admin_people.add admin_people.edit admin_people.invite admin_people.disable
        admin_people.enable admin_people.reset_two_factor
    """),
}

# Programs at routes of their own, in project 1. They come with an API token of that project, to
# write or to read, of another project, or of an admin; through an assistant that a customer of the
# project let in to write or to read, a customer of another one, or an admin everywhere; with a
# node's key, or the token for the figures.
AT_ROUTES = _matrix("""
           nothing write read other admin admin-read  via via-read via-other via-admin  node figures
public     in      in    in   in    in    in          in  in       in        in         in   in
integrations 401   in    in   404   in    in          401 401      401       401        401  401
n8n        401     in    in   401   in    in          401 401      401       401        401  401
reads      401     in    in   404   in    in          401 401      401       401        401  401
changes    401     in    403  404   in    403         401 401      401       401        401  401
admin-reads 401    403   403  404   in    in          401 401      401       401        401  401
admin-changes 401  403   403  404   in    403         401 401      401       401        401  401
mcp        401     in    in   in    in    in          in  in       in        in         401  401
mcp-token  401     in    in   in    in    in          401 401      401       401        401  401
nodes      401     401   401  401   401   401         401 401      401       401        in   401
operator   401     401   401  401   401   401         401 401      401       401        401  in
""")

# The operations that are offered to programs, each of them an endpoint and a tool.
OPERATIONS_OF: dict[str, tuple[str, ...]] = {
    "reads": _names("list-domains list-users list-records check-domain"),
    "changes": _names("""
        enable-email disable-email link-domain verify-domain unlink-domain
        add-user remove-user restore-user update-user update-password
        invite-user send-password-link revoke-password-link
    """),
    "admin-reads": _names("list-nodes"),
    "admin-changes": _names("""
        add-domain remove-domain update-domain set-home-node
        add-node update-node rotate-node-key pause-node resume-node lose-node remove-node
    """),
}

ROUTES: dict[str, tuple[str, ...]] = {
    "public": _names("""
        api.describe sync.agent sync.install health.healthz static
        oauth.describe_server oauth.describe_resource
        oauth.add_client oauth.give_tokens oauth.take_back
    """),
    "integrations": _names("api.integrations"),
    "n8n": _names("api.credential_test"),
    "mcp": _names("/mcp /mcp/"),
    "mcp-token": _names("/mcp-token"),
    "nodes": _names("sync.export sync.report"),
    "operator": _names("health.metrics health.readyz"),
    **{
        group: tuple(f"api.{operation}" for operation in operations)
        for group, operations in OPERATIONS_OF.items()
    },
}

# By which verbs; who reads by GET is answered HEAD, too. Existing clients read by POST as well.
VERBS_AT = {
    "integrations": "GET",
    "n8n": "GET",
    "reads": "GET POST",
    "changes": "POST",
    "admin-reads": "GET POST",
    "admin-changes": "POST",
    "mcp": "POST",
    "mcp-token": "POST",
    "operator": "GET",
}
# Of these, each its own.
VERBS_OF = {
    "sync.export": "GET",
    "sync.report": "POST",
    "oauth.add_client": "POST",
    "oauth.give_tokens": "POST",
    "oauth.take_back": "POST",
}

# The same programs at the tools, asked for in project 1. Who is not let in at /mcp calls none.
AT_TOOLS = _matrix("""
              write read other admin admin-read  via via-read via-other via-admin via-admin-read
reads         in    in   404   in    in          in  in       404       in        in
changes       in    403  404   in    403         in  403      404       in        403
admin-reads   403   403  403   in    in          403 403      403       in        in
admin-changes 403   403  403   in    403         403 403      403       in        403
""")

# What opens nothing anywhere: these are answered everywhere as though they had not been sent.
OPENING_NOTHING = _names("""
    expired-token revoked-token unknown-token
    via-disabled via-disconnected via-expired refresh-token
    key-of-lost key-of-removed key-expired
    welcome-link password-link session-credential
""")

# What the operator does at the machine; it leaves these entries in the audit log.
COMMANDS: dict[str, tuple[str, ...]] = {
    "project add": ("add-project",),
    "person add": ("add-person",),
    "person reset-two-factor": ("reset-two-factor",),
    "token add": ("add-token",),
    "token list": (),
    "token revoke": ("revoke-token",),
    "node add": ("add-node",),
    "domain link": ("assign-domain",),
    "domain verify": ("verify-domain",),
    "domain records": (),
    "domain check": (),
    "domain unlink": ("unlink-domain",),
    "confirm-shrink": ("confirm-shrink",),
    "purge": ("purge",),
    "check-dns": (),
    "check": (),
    "audit-log": (),
    "backup": ("record-backup",),
    "restore": ("restore",),
}
# These take the place of the process that they are called in.
SERVING = _names("serve demo")
GROUPS_OF_COMMANDS = _names("project person token node domain")
