//! The official Rust client lists the tools and calls one, in both eras, over HTTP
//! and over stdio.

use bulkhead_tests::{Host, Setup};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::json;

fn setup() -> Setup {
    Host::test().plugin("records").agent("alice", &["records:*"])
}

fn eras() -> [ClientLifecycleMode; 2] {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    [ClientLifecycleMode::Initialize, ClientLifecycleMode::Discover { preferred_versions }]
}

/// Lists the tools and calls one.
async fn use_records(client: RunningService<RoleClient, ()>) {
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["get_record", "get_revenue_data", "search_records"]);
    let arguments = json!({ "id": "rec_0002" }).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("get_record").with_arguments(arguments);
    let result = client.call_tool(call).await.unwrap();
    assert_ne!(result.is_error, Some(true));
    assert_eq!(result.structured_content.unwrap()["name"], "Aurora Cold Chain");
    let arguments = json!({ "id": "rec_9999" }).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("get_record").with_arguments(arguments);
    let missing = client.call_tool(call).await.unwrap();
    assert_eq!(missing.is_error, Some(true), "an error that the model sees, not an exception");
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn over_http() {
    let host = setup().start().await;
    let key = host.key("alice", &[]).await;
    for era in eras() {
        let config =
            StreamableHttpClientTransportConfig::with_uri(host.url()).auth_header(&key.key);
        let transport = StreamableHttpClientTransport::from_config(config);
        use_records(().serve_with_lifecycle(transport, era).await.unwrap()).await;
    }
    assert_eq!(host.audit().len(), 4);
}

#[tokio::test]
async fn over_stdio() {
    for era in eras() {
        let folder = setup().folder();
        let key = folder.key("alice", &[]).await;
        let mut command = folder.command(["serve", "--stdio"]);
        command.env("BULKHEAD_KEY", &key.key);
        let transport = TokioChildProcess::new(command).unwrap();
        use_records(().serve_with_lifecycle(transport, era).await.unwrap()).await;
        assert_eq!(folder.audit().len(), 2);
    }
}
