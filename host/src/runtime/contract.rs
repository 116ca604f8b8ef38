//! The first way in: a component that exports `bulkhead:plugin/tools`.

use tokio_util::sync::CancellationToken;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance};

use super::bindings::{TOOLS, types};
use super::engine::Sandbox;
use super::invocation::{bounded, new_store};
use super::output::{Block, Produced};
use super::prepare::{DeclaredTool, LoadError, Prepared};
use super::state::CallState;
use crate::config::{Hints, PerCall};

type Listed = (Vec<types::Tool>,);
type Called = (Result<types::Outcome, types::Error>,);

/// Where a component has the functions of the contract.
pub(super) struct Contract {
    list_tools: ComponentExportIndex,
    call_tool: ComponentExportIndex,
}

impl Contract {
    /// The contract's functions, of whichever version it exports.
    pub(super) fn of(component: &Component) -> Result<Self, LoadError> {
        let found = TOOLS.into_iter().find_map(|name| component.get_export_index(None, name));
        let interface = found.ok_or_else(|| {
            let served = TOOLS.join("` and `");
            LoadError::new(format!(
                "it exports `bulkhead:plugin/tools` of a version that is not served; `{served}` are"
            ))
        })?;
        let function = |name| {
            component.get_export_index(Some(&interface), name).ok_or_else(|| {
                LoadError::new(format!("it does not fit this version's contract: no `{name}`"))
            })
        };
        Ok(Self { list_tools: function("list-tools")?, call_tool: function("call-tool")? })
    }

    pub(super) async fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        tool: &str,
        arguments: &str,
    ) -> wasmtime::Result<Produced> {
        let call = instance.get_typed_func::<(&str, &str), Called>(&mut *store, self.call_tool)?;
        let (returned,) = call.call_async(store, (tool, arguments)).await?;
        Ok(returned.into())
    }

    async fn list(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<Vec<types::Tool>> {
        // Each call looks only for the function that it calls; whether the other one has
        // the right type is found out here, when the plugin is loaded.
        instance.get_typed_func::<(&str, &str), Called>(&mut *store, self.call_tool)?;
        let list = instance.get_typed_func::<(), Listed>(&mut *store, self.list_tools)?;
        let (tools,) = list.call_async(store, ()).await?;
        Ok(tools)
    }
}

impl Sandbox {
    /// Asks a plugin for its tools, twice, each time in a fresh instance that was
    /// granted nothing, with a frozen clock and a fixed random seed.
    ///
    /// # Errors
    /// When asking fails or costs more than `quota`, or when the answers differ.
    pub(super) async fn ask_twice(
        &self,
        prepared: &Prepared,
        quota: &PerCall,
    ) -> Result<Vec<DeclaredTool>, LoadError> {
        let first = self.ask_for_tools(prepared, quota).await?;
        let second = self.ask_for_tools(prepared, quota).await?;
        // Compared as text, so that no field can differ unseen.
        if format!("{first:?}") != format!("{second:?}") {
            return Err(LoadError::new("it lists different tools each time it is asked"));
        }
        Ok(first.into_iter().map(DeclaredTool::from).collect())
    }

    async fn ask_for_tools(
        &self,
        prepared: &Prepared,
        quota: &PerCall,
    ) -> Result<Vec<types::Tool>, LoadError> {
        let store = new_store(self, prepared, quota, None)
            .map_err(|error| LoadError::new(format!("{error:#}")))?;
        let quota = *quota;
        let prepared = prepared.clone();
        let asked = async move {
            bounded(store, &quota, CancellationToken::new(), async |store| {
                let instance = prepared.instantiate(store).await?;
                match prepared.contract() {
                    Some(contract) => contract.list(store, &instance).await,
                    None => Ok(Vec::new()),
                }
            })
            .await
        };
        let ended = self.burners.run(None, asked).await.map_err(LoadError::new)?;
        ended.result.map_err(|fault| {
            let error = fault.into_error(&quota);
            let mut why = format!("asked for its tools, it failed with {}", error.code());
            for more in error.cause().into_iter().chain(ended.printed.as_deref()) {
                why.push_str(": ");
                why.push_str(more.trim());
            }
            LoadError::new(why)
        })
    }
}

impl From<types::Tool> for DeclaredTool {
    fn from(tool: types::Tool) -> Self {
        let hints = tool.annotations.map(|declared| Hints {
            read_only: declared.read_only,
            destructive: declared.destructive,
            idempotent: declared.idempotent,
            open_world: declared.open_world,
        });
        Self {
            name: tool.name,
            title: tool.title,
            description: tool.description,
            input_schema: tool.input_schema,
            output_schema: tool.output_schema,
            annotations: hints.map(Into::into),
        }
    }
}

impl From<Result<types::Outcome, types::Error>> for Produced {
    fn from(returned: Result<types::Outcome, types::Error>) -> Self {
        match returned {
            Ok(types::Outcome::Done(output)) => Self::Done {
                untrusted: is_untrusted(&output),
                blocks: output.content.into_iter().map(Block::from).collect(),
                structured: output.structured,
            },
            Ok(types::Outcome::InputRequired(_)) => Self::InputRequired,
            Err(error) => Self::Failed {
                code: error.code,
                message: error.message,
                retryable: error.retryable,
                retry_after_ms: error.retry_after_ms,
                details: error.details,
            },
        }
    }
}

/// Whether a plugin says of its output, or of a part of it, that somebody else wrote it:
/// `{"untrusted": true}` in `extra`.
fn is_untrusted(output: &types::Output) -> bool {
    #[derive(serde::Deserialize)]
    struct Extra {
        #[serde(default)]
        untrusted: bool,
    }
    let says = |extra: &Option<String>| {
        let extra = extra.as_deref().and_then(|extra| serde_json::from_str::<Extra>(extra).ok());
        extra.is_some_and(|extra| extra.untrusted)
    };
    says(&output.extra)
        || output.content.iter().any(|content| match content {
            types::Content::Text(text) => says(&text.extra),
            types::Content::Image(media) | types::Content::Audio(media) => says(&media.extra),
            types::Content::ResourceLink(link) => says(&link.extra),
            types::Content::Resource(resource) => says(&resource.extra),
            types::Content::Other(_) => false,
        })
}

impl From<types::Content> for Block {
    fn from(content: types::Content) -> Self {
        match content {
            types::Content::Text(text) => Self::Text(text.text),
            types::Content::Image(media) => {
                Self::Image { data: media.data, mime_type: media.mime_type }
            }
            types::Content::Audio(media) => {
                Self::Audio { data: media.data, mime_type: media.mime_type }
            }
            types::Content::ResourceLink(link) => Self::ResourceLink {
                uri: link.uri,
                name: link.name,
                description: link.description,
                mime_type: link.mime_type,
            },
            types::Content::Resource(resource) => {
                let types::EmbeddedResource { uri, mime_type, contents, extra: _ } = resource;
                match contents {
                    types::ResourceContents::Text(text) => {
                        Self::ResourceText { uri, mime_type, text }
                    }
                    types::ResourceContents::Blob(data) => {
                        Self::ResourceBlob { uri, mime_type, data }
                    }
                }
            }
            types::Content::Other(json) => Self::Other(json),
        }
    }
}
