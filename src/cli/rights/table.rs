//! The table itself, in the order of the page.

use super::{AnyOf, Rights};

const METHODS: AnyOf = &["Authentication Administrator", "Privileged Authentication Administrator"];
const METHODS_READ: AnyOf =
    &["Global Reader", "Authentication Administrator", "Privileged Authentication Administrator"];
const POLICY: AnyOf = &["Authentication Policy Administrator"];
const POLICY_READ: AnyOf = &["Global Reader", "Authentication Policy Administrator"];
const ACCESS: AnyOf = &["Conditional Access Administrator", "Security Administrator"];
const LOGS: AnyOf =
    &["Reports Reader", "Security Reader", "Security Operator", "Security Administrator", "Global Reader"];
const PEOPLE: AnyOf = &["User Administrator"];
const GROUPS: AnyOf = &["Groups Administrator", "User Administrator"];
const EVERYTHING_READ: AnyOf = &["Global Reader"];
const APPS: AnyOf = &["Application Administrator", "Cloud Application Administrator", "Application Developer"];

const P1: Option<&str> = Some("Microsoft Entra ID P1");
const NONE: Rights = Rights { command: "", scopes: &[], roles: &[], licence: None, note: "" };

/// Both policies, people and roles: what a run and its checks read.
const CHECKS: &[&str] = &[
    "Policy.Read.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "UserAuthenticationMethod.Read.All",
    "LicenseAssignment.Read.All",
    "RoleManagement.Read.Directory",
    "AuditLog.Read.All",
    "Domain.Read.All",
];
const RUN: &[&str] = &[
    "UserAuthMethod-Passkey.ReadWrite.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "RoleManagement.Read.Directory",
    "Policy.Read.AuthenticationMethod",
];
const GONE: &[&str] = &["UserAuthMethod-Passkey.ReadWrite.All", "User.RevokeSessions.All"];
const POLICIES_READ: &[&str] = &["Policy.Read.All", "User.Read.All", "GroupMember.Read.All"];
const POLICIES_WRITE: &[&str] = &[
    "Policy.Read.All",
    "Policy.ReadWrite.AuthenticationMethod",
    "Policy.ReadWrite.ConditionalAccess",
    "Policy.ReadWrite.SecurityDefaults",
    "Policy.ReadWrite.DeviceConfiguration",
    "Application.Read.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "UserAuthenticationMethod.Read.All",
];
/// What of it is for some files only.
const WRITING: &str = "Conditional Access needs the second role and P1. `Policy.ReadWrite.SecurityDefaults` is for a file with `security_defaults`, \
    `Policy.ReadWrite.DeviceConfiguration` for one with `device_join_mfa`, which is a Cloud Device Administrator's to change and no application's \
    (one reads it with `Policy.Read.DeviceConfiguration`). `second_factor` and `system_preferred` of `[per_person]` take \
    `UserAuthenticationMethod.ReadWrite.All` and an Authentication Administrator. Who holds the roles that a policy is for is read with \
    `RoleManagement.Read.Directory`, where it is granted.";

/// Every command that asks a tenant.
pub(super) const TABLE: &[Rights] = &[
    Rights {
        command: "login",
        scopes: &["User.Read", "RoleManagement.Read.Directory"],
        note: "And what the commands named with `--for` need; `run` where none is named.",
        ..NONE
    },
    Rights {
        command: "whoami",
        scopes: &["User.Read", "RoleManagement.Read.Directory"],
        note: "The second is for naming roles that wait to be activated.",
        ..NONE
    },
    Rights {
        command: "doctor",
        scopes: RUN,
        roles: &[METHODS, POLICY_READ],
        note: "Without the second role the policy is not read beforehand.",
        ..NONE
    },
    Rights {
        command: "run",
        scopes: RUN,
        roles: &[METHODS, POLICY_READ],
        note: "For people who hold roles: Privileged Authentication Administrator. With `Policy.Read.All` besides, Conditional Access is weighed too (PF19). Keys held until receipt go by Graph's beta.",
        ..NONE
    },
    Rights {
        command: "tenant app",
        scopes: &["Application.ReadWrite.All"],
        roles: &[APPS],
        note: "With `--create` only; printing asks nobody. Consent for the organization takes a Privileged Role Administrator.",
        ..NONE
    },
    Rights {
        command: "tenant first-contact",
        scopes: &["UserAuthMethod-Passkey.ReadWrite.All", "User.Read.All"],
        roles: &[METHODS],
        note: "Beta and v1.0.",
        ..NONE
    },
    Rights {
        command: "tenant check",
        scopes: CHECKS,
        roles: &[METHODS_READ, EVERYTHING_READ],
        note: "What may not be read is UNKNOWN, never a pass. Conditional Access needs P1. Beta for per-user MFA and hardware tokens; the inventory of `--tokens` takes `Policy.ReadWrite.AuthenticationMethod`.",
        ..NONE
    },
    Rights { command: "tenant export", scopes: POLICIES_READ, roles: &[EVERYTHING_READ], ..NONE },
    Rights {
        command: "tenant plan",
        scopes: &["Policy.Read.All", "User.Read.All", "GroupMember.Read.All", "UserAuthenticationMethod.Read.All"],
        roles: &[EVERYTHING_READ],
        note: "Beta for last uses, hardware tokens and what is set person by person. Who holds the roles that a policy is for is read with `RoleManagement.Read.Directory`, where it is granted.",
        ..NONE
    },
    Rights { command: "tenant apply", scopes: POLICIES_WRITE, roles: &[POLICY, ACCESS], note: WRITING, ..NONE },
    Rights { command: "tenant undo", scopes: POLICIES_WRITE, roles: &[POLICY, ACCESS], note: WRITING, ..NONE },
    Rights {
        command: "tenant whatif",
        scopes: &["Policy.Read.All", "User.Read.All"],
        roles: &[&["Conditional Access Administrator", "Security Reader", "Global Reader"]],
        licence: P1,
        ..NONE
    },
    Rights { command: "people group create", scopes: &["Group.ReadWrite.All"], roles: &[GROUPS], ..NONE },
    Rights {
        command: "people group add",
        scopes: &["GroupMember.ReadWrite.All", "GroupMember.Read.All", "User.Read.All"],
        roles: &[GROUPS],
        ..NONE
    },
    Rights {
        command: "people group remove",
        scopes: &["GroupMember.ReadWrite.All", "GroupMember.Read.All", "User.Read.All"],
        roles: &[GROUPS],
        ..NONE
    },
    Rights {
        command: "people create",
        scopes: &[
            "User.ReadWrite.All",
            "GroupMember.ReadWrite.All",
            "GroupMember.Read.All",
            "LicenseAssignment.ReadWrite.All",
            "Domain.Read.All",
            "UserAuthMethod-Passkey.Read.All",
        ],
        roles: &[PEOPLE, METHODS_READ],
        note: "The second role for waiting until a new account can be given a key. Groups and licences only where the file names some.",
        ..NONE
    },
    Rights {
        command: "tap issue",
        scopes: &[
            "UserAuthMethod-TAP.ReadWrite.All",
            "User.Read.All",
            "GroupMember.Read.All",
            "RoleManagement.Read.Directory",
            "Policy.Read.AuthenticationMethod",
        ],
        roles: &[METHODS, POLICY_READ],
        ..NONE
    },
    Rights {
        command: "tap list",
        scopes: &["UserAuthMethod-TAP.Read.All", "User.Read.All", "GroupMember.Read.All"],
        note: "`GroupMember.Read.All` with `--group` only.",
        roles: &[METHODS_READ],
        ..NONE
    },
    Rights {
        command: "tap revoke",
        scopes: &["UserAuthMethod-TAP.ReadWrite.All", "User.Read.All"],
        roles: &[METHODS],
        ..NONE
    },
    Rights {
        command: "tap sweep",
        scopes: &[
            "UserAuthMethod-TAP.ReadWrite.All",
            "UserAuthMethod-Passkey.Read.All",
            "User.Read.All",
            "GroupMember.Read.All",
        ],
        note: "`GroupMember.Read.All` with `--group` only.",
        roles: &[METHODS],
        ..NONE
    },
    Rights {
        command: "oath import",
        scopes: &[
            "Policy.ReadWrite.AuthenticationMethod",
            "UserAuthMethod-HardwareOATH.ReadWrite.All",
            "User.Read.All",
            "GroupMember.Read.All",
        ],
        roles: &[POLICY, METHODS],
        licence: P1,
        note: "Beta. All but the first permission and role are for tokens that the file gives to people.",
    },
    Rights {
        command: "oath assign",
        scopes: &[
            "UserAuthMethod-HardwareOATH.ReadWrite.All",
            "Policy.ReadWrite.AuthenticationMethod",
            "User.Read.All",
        ],
        roles: &[METHODS, POLICY],
        licence: P1,
        note: "Beta.",
    },
    Rights {
        command: "oath activate",
        scopes: &[
            "UserAuthMethod-HardwareOATH.ReadWrite.All",
            "Policy.ReadWrite.AuthenticationMethod",
            "User.Read.All",
        ],
        roles: &[METHODS, POLICY],
        licence: P1,
        note: "Beta.",
    },
    Rights {
        command: "oath list",
        scopes: &["Policy.ReadWrite.AuthenticationMethod", "User.Read.All"],
        roles: &[POLICY],
        licence: P1,
        note: "Beta. Reading the inventory takes the right to change it.",
    },
    Rights {
        command: "oath remove",
        scopes: &["Policy.ReadWrite.AuthenticationMethod", "UserAuthMethod-HardwareOATH.ReadWrite.All"],
        roles: &[POLICY, METHODS],
        licence: P1,
        note: "Beta.",
    },
    Rights {
        command: "methods",
        scopes: &["UserAuthenticationMethod.Read.All", "User.Read.All"],
        roles: &[METHODS_READ],
        note: "Beta for hardware tokens.",
        ..NONE
    },
    Rights {
        command: "methods remove",
        scopes: &["UserAuthenticationMethod.ReadWrite.All", "User.Read.All"],
        roles: &[METHODS],
        ..NONE
    },
    Rights {
        command: "activate",
        scopes: &["UserAuthMethod-Passkey.ReadWrite.All"],
        roles: &[METHODS],
        note: "Beta.",
        ..NONE
    },
    Rights {
        command: "lost",
        scopes: GONE,
        roles: &[METHODS],
        note: "The second only with `--revoke-sessions`.",
        ..NONE
    },
    Rights {
        command: "replace",
        scopes: GONE,
        roles: &[METHODS],
        note: "The second only with `--revoke-sessions`.",
        ..NONE
    },
    Rights {
        command: "return",
        scopes: GONE,
        roles: &[METHODS],
        note: "The second only with `--revoke-sessions`.",
        ..NONE
    },
    Rights {
        command: "leaver",
        scopes: GONE,
        roles: &[METHODS],
        note: "The second only with `--revoke-sessions`.",
        ..NONE
    },
    Rights {
        command: "notify",
        scopes: &["Mail.Send", "User.Read.All"],
        note: "With `--text` it asks nobody. As the application `Mail.Send` sends from every mailbox: restrict it to one in Exchange.",
        ..NONE
    },
    Rights {
        command: "release",
        scopes: &["Mail.Send", "User.Read.All"],
        note: "With `--by manager` only; the rest asks nobody.",
        ..NONE
    },
    Rights {
        command: "pack",
        scopes: &["User.Read.All"],
        note: "With `--to` only, for somebody whom the ledger does not know; the rest asks nobody.",
        ..NONE
    },
    Rights {
        command: "handover watch",
        scopes: &[
            "UserAuthMethod-Passkey.Read.All",
            "UserAuthMethod-HardwareOATH.Read.All",
            "UserAuthMethod-TAP.ReadWrite.All",
        ],
        roles: &[METHODS],
        note: "Hardware tokens are beta; without their permission only keys are watched.",
        ..NONE
    },
    Rights { command: "reconcile", scopes: &["UserAuthMethod-Passkey.Read.All"], roles: &[METHODS_READ], ..NONE },
    Rights {
        command: "audit verify",
        scopes: &["AuditLog.Read.All"],
        roles: &[LOGS],
        note: "Only with `--against-entra`. How far back the log goes depends on the licence: 30 days with P1, seven without.",
        ..NONE
    },
    Rights {
        command: "sign-ins",
        scopes: &["AuditLog.Read.All", "UserAuthMethod-Passkey.Read.All", "User.Read.All"],
        roles: &[LOGS, METHODS_READ],
        licence: P1,
        note: "Beta. Without P1 the log is refused; when a key was last used is told all the same.",
    },
    Rights {
        command: "report adoption",
        scopes: &["UserAuthenticationMethod.Read.All", "AuditLog.Read.All", "User.Read.All", "GroupMember.Read.All"],
        roles: &[METHODS_READ, LOGS],
        note: "Beta. The registration report needs P1; without it those columns are unknown.",
        ..NONE
    },
];

/// Every command that asks none.
pub(super) const OFFLINE: &[&str] = &[
    "demo",
    "config init",
    "config show",
    "status",
    "show",
    "key list",
    "key info",
    "key reset",
    "escrow keygen",
    "escrow open",
    "export manifest",
    "export audit",
    "audit export",
    "custodian list",
    "custodian add",
    "custodian rotate",
    "custodian activation",
    "custody export",
    "custody log",
    "custody import",
    "custody fingerprint",
    "handover list",
    "handover end",
    "receipt list",
    "receipt carrier",
    "receipt card",
    "receipt verify",
    "stock list",
    "stock expect",
    "stock receive",
    "tenant preset pilot",
    "tenant confirm",
    "key blink",
    "record",
    "letters make",
    "letters confirm",
    "letters list",
    "letters template",
    "letters proof",
    "labels make",
    "labels sheets",
    "addresses import",
    "addresses check",
    "export carrier",
    "ledger verify",
    "ledger restore",
    "ledger forget",
    "logout",
    "sim tenant",
    "sim key",
    "tap advise",
    "completions",
    "man",
];
