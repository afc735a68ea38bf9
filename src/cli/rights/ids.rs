//! The ids of Microsoft Graph's permissions, which an app registration names instead of words.
//!
//! Source: Microsoft Graph permissions reference, and `provisioningInfo` of microsoft-graph-devx-content (August 2026). They are the
//! same in every tenant of the global cloud.

/// Microsoft Graph itself, as an application.
pub const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";

/// Name, delegated id, application id; no application id where there is no such permission.
const IDS: [(&str, &str, &str); 31] = [
    ("Application.Read.All", "c79f8feb-a9db-4090-85f9-90d820caa0eb", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
    ("Application.ReadWrite.All", "bdfbf15f-ee85-4955-8675-146e8e5296b5", "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"),
    ("AuditLog.Read.All", "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20", "b0afded3-3588-46d8-8b3d-9842eff778da"),
    ("Domain.Read.All", "2f9ee017-59c1-4f1d-9472-bd5529a7b311", "dbb9058a-0e50-45d7-ae91-66909b5d4664"),
    ("Group.ReadWrite.All", "4e46008b-f24c-477d-8fff-7bb4ec7aafe0", "62a82d76-70ea-41e2-9197-370581804d09"),
    ("GroupMember.Read.All", "bc024368-1153-4739-b217-4326f2e966d0", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ("GroupMember.ReadWrite.All", "f81125ac-d3b7-4573-a3b2-7099cc39df9e", "dbaae8cf-10b5-4b86-a4a1-f871c94c6695"),
    ("LicenseAssignment.Read.All", "f395577a-0960-456b-979f-7228de0c5996", "e2f98668-2877-4f38-a2f4-8202e0717aa1"),
    ("LicenseAssignment.ReadWrite.All", "f55016cc-149c-447e-8f21-7cf3ec1d6350", "5facf0c1-8979-4e95-abcf-ff3d079771c0"),
    ("Organization.Read.All", "4908d5b9-3fb2-4b1e-9336-1888b7937185", "498476ce-e0fe-48b0-b801-37ba7e2685c6"),
    ("Policy.Read.All", "572fea84-0151-49b2-9301-11cb16974376", "246dd0d5-5bd0-4def-940b-0421030a5b68"),
    (
        "Policy.Read.AuthenticationMethod",
        "a6ff13ac-1851-4993-8ca9-a671d70de2d5",
        "8e3bc81b-d2f3-4b7b-838c-32c88218d2f0",
    ),
    ("Policy.Read.ConditionalAccess", "633e0fce-8c58-4cfb-9495-12bbd5a24f7c", "37730810-e9ba-4e46-b07e-8ca78d182097"),
    ("Policy.Read.DeviceConfiguration", "3616a4b0-6746-49c4-a678-4c237599074d", "bdba4817-6ba1-4a7c-8a01-be9bc7c242dd"),
    (
        "Policy.ReadWrite.AuthenticationMethod",
        "7e823077-d88e-468f-a337-e18f1f0e6c7c",
        "29c18626-4985-4dcd-85c0-193eef327366",
    ),
    (
        "Policy.ReadWrite.ConditionalAccess",
        "ad902697-1014-4ef5-81ef-2b4301988e8c",
        "01c0a623-fc9b-48e9-b794-0756f8e8f067",
    ),
    ("Policy.ReadWrite.DeviceConfiguration", "40b534c3-9552-4550-901b-23879c90bcf9", ""),
    (
        "Policy.ReadWrite.SecurityDefaults",
        "0b2a744c-2abf-4f1e-ad7e-17a087e2be99",
        "1c6e93a6-28e2-4cbb-9f64-1a46a821124d",
    ),
    ("RoleManagement.Read.Directory", "741c54c3-0c1e-44a1-818b-3f97ab4e8c83", "483bed4a-2ad3-4361-a73b-c83ccdbdc53c"),
    ("User.Read", "e1fe6dd8-ba31-4d61-89e7-88639da4683d", ""),
    ("User.Read.All", "a154be20-db9c-4678-8ab7-66f6cc099a59", "df021288-bdef-4463-88db-98f22de89214"),
    ("User.ReadWrite.All", "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4", "741f803b-c850-494e-b5df-cde7c675a1ca"),
    ("User.RevokeSessions.All", "fc30e98b-8810-4501-81f5-c20a3196387b", "77f3a031-c388-4f99-b373-dc68676a979e"),
    (
        "UserAuthMethod-HardwareOATH.Read.All",
        "acd68c26-c283-4bf4-8b5c-200fc179bdd5",
        "7b544555-7811-49ff-8223-a56be870e33a",
    ),
    (
        "UserAuthMethod-HardwareOATH.ReadWrite.All",
        "480643f2-a162-43c5-a670-dc1494fc911b",
        "7e9ebcc1-90aa-4471-8051-e68d6b4e9c89",
    ),
    ("UserAuthMethod-Passkey.Read.All", "14195339-1fe4-48a7-a0d3-a39eb9fd8958", "72e00c1d-3e3d-43bb-a0b9-c435611bb1d2"),
    (
        "UserAuthMethod-Passkey.ReadWrite.All",
        "64930478-d0ea-4671-ad72-fe0d9821df09",
        "0400e371-7db1-4338-a269-96069eb65227",
    ),
    ("UserAuthMethod-TAP.Read.All", "6976c635-c9c2-41e6-a21d-e6913a155273", "bf82209c-b22b-4747-ac88-a68be99032cf"),
    (
        "UserAuthMethod-TAP.ReadWrite.All",
        "05de4a66-e51a-4312-842a-30c8094698d2",
        "627169a8-8c15-451c-861a-5b80e383de5c",
    ),
    (
        "UserAuthenticationMethod.Read.All",
        "aec28ec7-4d02-4e8c-b864-50163aea77eb",
        "38d9df27-64da-44fd-b7c5-a6fbac20248f",
    ),
    (
        "UserAuthenticationMethod.ReadWrite.All",
        "b7887744-6746-4312-813d-72daeaee7e2d",
        "50483e42-d915-4231-9639-7fdb7fd190e5",
    ),
];

/// The id of a permission: delegated, for signed-in people, or of the application itself. `None` where there is none, or it isn't known.
pub fn permission_id(name: &str, app_only: bool) -> Option<&'static str> {
    let (_, delegated, application) = IDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
    Some(if app_only { *application } else { *delegated }).filter(|id| !id.is_empty())
}
