//! The routes of the wire contract, written down a second time from outside: the program's own table is what is tested.

/// A path, with ID for any id, and its methods.
pub type Route = (&'static str, &'static [&'static str]);

/// Routes that answer 401 to whoever shows nothing.
pub const PROTECTED: &[Route] = &[
    ("/ws", &["GET"]),
    ("/api/auth/logout", &["POST"]),
    ("/api/auth/me", &["GET"]),
    ("/api/auth/password", &["POST"]),
    ("/api/auth/sessions", &["GET"]),
    ("/api/auth/sessions/ID", &["DELETE"]),
    ("/api/auth/token", &["POST"]),
    ("/api/ws/ticket", &["POST"]),
    ("/api/admin/users/bob/revoke", &["POST"]),
    ("/api/threads", &["GET", "POST"]),
    ("/api/threads/ID", &["GET", "PATCH", "DELETE"]),
    ("/api/threads/ID/members", &["GET"]),
    ("/api/threads/ID/members/bob", &["PUT", "DELETE"]),
    ("/api/threads/ID/read", &["PUT"]),
    ("/api/messages", &["GET", "POST"]),
    ("/api/messages/ID", &["GET", "PATCH", "DELETE"]),
    ("/api/events", &["GET"]),
    ("/api/users?q=al", &["GET"]),
];

/// Routes that answer anybody.
pub const PUBLIC: &[Route] = &[
    ("/api/auth/login", &["POST"]),
    ("/api/auth/link", &["POST"]),
    ("/api/auth/demo/alice", &["POST"]),
    ("/api/auth/refresh", &["POST"]),
    ("/api/ws/preflight", &["POST"]),
    ("/api/auth/oidc/login", &["GET"]),
    ("/api/auth/oidc/callback", &["GET"]),
    ("/api/system/info", &["GET"]),
    ("/health", &["GET"]),
    ("/health/live", &["GET"]),
    ("/health/ready", &["GET"]),
    ("/", &["GET"]),
    ("/hailgate.js", &["GET"]),
];
