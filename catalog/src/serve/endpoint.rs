//! What can be asked: the endpoints of the specification that are served, and what it has beside them.

use http::Method;

use super::error::Refusal;

/// One of the endpoints, with the names in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint<'p> {
    Config,
    ListNamespaces,
    CreateNamespace,
    LoadNamespace(&'p str),
    NamespaceExists(&'p str),
    DropNamespace(&'p str),
    UpdateNamespace(&'p str),
    ListTables(&'p str),
    CreateTable(&'p str),
    RegisterTable(&'p str),
    LoadTable(&'p str, &'p str),
    TableExists(&'p str, &'p str),
    CommitTable(&'p str, &'p str),
    DropTable(&'p str, &'p str),
    ReportMetrics(&'p str, &'p str),
    RenameTable,
    CommitTransaction,
}

/// As the configuration lists them for clients; it is asked for before, and not among them.
pub const LISTED: [&str; 16] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/tables/rename",
    "POST /v1/{prefix}/transactions/commit",
];

impl<'p> Endpoint<'p> {
    pub fn of(method: &Method, path: &[&'p str]) -> Result<Self, Refusal> {
        let method = method.as_str();
        Ok(match (method, path) {
            ("GET", ["v1", "config"]) => Self::Config,
            ("GET", ["v1", "namespaces"]) => Self::ListNamespaces,
            ("POST", ["v1", "namespaces"]) => Self::CreateNamespace,
            ("GET", ["v1", "namespaces", namespace]) => Self::LoadNamespace(namespace),
            ("HEAD", ["v1", "namespaces", namespace]) => Self::NamespaceExists(namespace),
            ("DELETE", ["v1", "namespaces", namespace]) => Self::DropNamespace(namespace),
            ("POST", ["v1", "namespaces", namespace, "properties"]) => Self::UpdateNamespace(namespace),
            ("GET", ["v1", "namespaces", namespace, "tables"]) => Self::ListTables(namespace),
            ("POST", ["v1", "namespaces", namespace, "tables"]) => Self::CreateTable(namespace),
            ("POST", ["v1", "namespaces", namespace, "register"]) => Self::RegisterTable(namespace),
            ("GET", ["v1", "namespaces", namespace, "tables", table]) => Self::LoadTable(namespace, table),
            ("HEAD", ["v1", "namespaces", namespace, "tables", table]) => Self::TableExists(namespace, table),
            ("POST", ["v1", "namespaces", namespace, "tables", table]) => Self::CommitTable(namespace, table),
            ("DELETE", ["v1", "namespaces", namespace, "tables", table]) => Self::DropTable(namespace, table),
            ("POST", ["v1", "namespaces", namespace, "tables", table, "metrics"]) => {
                Self::ReportMetrics(namespace, table)
            }
            ("POST", ["v1", "tables", "rename"]) => Self::RenameTable,
            ("POST", ["v1", "transactions", "commit"]) => Self::CommitTransaction,
            (_, ["v1", "namespaces", _, "views" | "register-view", ..] | ["v1", "views", ..]) => {
                return Err(Refusal::unsupported("this catalog keeps tables, and no views"));
            }
            (_, ["v1", "namespaces", _, "tables", _, ..]) => {
                return Err(Refusal::unsupported(format!(
                    "this catalog does not serve {method} /{}; /v1/config lists what it serves",
                    path.join("/")
                )));
            }
            _ => {
                return Err(Refusal::bad_request(format!(
                    "{method} /{} is no endpoint of this catalog; /v1/config lists those that it has",
                    path.join("/")
                )));
            }
        })
    }

    /// As [`LISTED`] has it, for metrics.
    pub fn name(self) -> &'static str {
        let place = match self {
            Self::Config => return "GET /v1/config",
            Self::ListNamespaces => 0,
            Self::CreateNamespace => 1,
            Self::LoadNamespace(_) => 2,
            Self::NamespaceExists(_) => 3,
            Self::DropNamespace(_) => 4,
            Self::UpdateNamespace(_) => 5,
            Self::ListTables(_) => 6,
            Self::CreateTable(_) => 7,
            Self::RegisterTable(_) => 8,
            Self::LoadTable(..) => 9,
            Self::TableExists(..) => 10,
            Self::CommitTable(..) => 11,
            Self::DropTable(..) => 12,
            Self::ReportMetrics(..) => 13,
            Self::RenameTable => 14,
            Self::CommitTransaction => 15,
        };
        LISTED[place]
    }

    /// It changes something, so that it is carried out once for an idempotency key, and to its end although the client
    /// hangs up.
    pub fn is_change(self) -> bool {
        let method = self.name().split(' ').next();
        matches!(method, Some("POST" | "DELETE")) && !matches!(self, Self::ReportMetrics(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_served_under_its_name() {
        for listed in LISTED {
            let (method, path) = listed.split_once(' ').unwrap();
            let path = path.replace("/{prefix}", "");
            let names: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            let endpoint = Endpoint::of(&method.parse().unwrap(), &names).unwrap();
            assert_eq!(endpoint.name(), listed);
        }
    }

    #[test]
    fn what_is_not_served_is_refused_as_such() {
        let status = |method: Method, path: &str| {
            let names: Vec<&str> = path.split('/').collect();
            Endpoint::of(&method, &names).unwrap_err().status.as_u16()
        };
        assert_eq!(status(Method::GET, "v1/namespaces/a/views"), 406);
        assert_eq!(status(Method::POST, "v1/views/rename"), 406);
        assert_eq!(status(Method::POST, "v1/namespaces/a/tables/t/plan"), 406);
        assert_eq!(status(Method::POST, "v1/namespaces/a/tables/t/unregister"), 406);
        assert_eq!(status(Method::PUT, "v1/namespaces"), 400);
        assert_eq!(status(Method::GET, "v2/namespaces"), 400);
    }
}
