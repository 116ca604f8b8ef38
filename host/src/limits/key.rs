//! What a limit counts under, and the table that counts live in.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::names::{AgentName, PluginName, Subject, ToolName};

/// Names whose consumption a limit counts. Cheap to clone: names are shared.
///
/// Two limits that must not spend each other's allowance have different keys; an
/// agent and a plugin of one name do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterKey {
    /// Compared first, so that different keys hardly ever compare their names.
    hash: u64,
    names: Names,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Names {
    Agent(AgentName),
    Subject(Subject),
    Plugin(PluginName),
    Tool(ToolName),
    AgentPlugin(AgentName, PluginName),
    AgentTool(AgentName, ToolName),
    /// Whoever was turned away, with a credential or without.
    TurnedAway {
        presented: bool,
    },
    All,
}

impl MeterKey {
    /// One agent over all tools.
    pub fn agent(agent: &AgentName) -> Self {
        Self::new(Names::Agent(agent.clone()))
    }

    /// One subject over all agents and tools.
    pub fn subject(subject: &Subject) -> Self {
        Self::new(Names::Subject(subject.clone()))
    }

    /// One plugin over all agents.
    pub fn plugin(plugin: &PluginName) -> Self {
        Self::new(Names::Plugin(plugin.clone()))
    }

    /// One tool over all agents.
    pub fn tool(tool: &ToolName) -> Self {
        Self::new(Names::Tool(tool.clone()))
    }

    /// One agent on one plugin.
    pub fn agent_plugin(agent: &AgentName, plugin: &PluginName) -> Self {
        Self::new(Names::AgentPlugin(agent.clone(), plugin.clone()))
    }

    /// One agent on one tool.
    pub fn agent_tool(agent: &AgentName, tool: &ToolName) -> Self {
        Self::new(Names::AgentTool(agent.clone(), tool.clone()))
    }

    /// Everybody whose credential was not accepted, together; or everybody without one.
    pub fn turned_away(presented: bool) -> Self {
        Self::new(Names::TurnedAway { presented })
    }

    /// Everybody on everything.
    pub fn all() -> Self {
        static KEY: LazyLock<MeterKey> = LazyLock::new(|| MeterKey::new(Names::All));
        KEY.clone()
    }

    /// Hashes once for the six times that a call looks a key up, and with a secret
    /// seed: nobody can choose names that meet in one place.
    fn new(names: Names) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self { hash: SEED.hash_one(&names), names }
    }
}

impl Hash for MeterKey {
    fn hash<H: Hasher>(&self, to: &mut H) {
        to.write_u64(self.hash);
    }
}

/// Takes the hash that a key brings.
#[derive(Default)]
pub(super) struct AsHashed(u64);

impl Hasher for AsHashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map over keys.
pub(super) type ByKey<V> = HashMap<MeterKey, V, BuildHasherDefault<AsHashed>>;

/// How many locks a table has. More let more cores decide at once; a decision
/// holds its lock for about 100 ns, so that 16 serve tens of millions a second.
pub(super) const SHARDS: usize = 16;

/// A table in parts, each behind its own lock.
#[derive(Default)]
pub(super) struct Shards<S>([Mutex<S>; SHARDS]);

impl<S> Shards<S> {
    /// The part that holds `key`, locked.
    pub(super) fn of(&self, key: &MeterKey) -> MutexGuard<'_, S> {
        let [first, ..] = &self.0;
        // The map in each part uses the lowest and the highest bits.
        let at = (key.hash >> 32) as usize % SHARDS;
        let shard = self.0.get(at).unwrap_or(first);
        // A part is consistent whenever its lock is free: every change to one is
        // complete before anything that could panic.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every part in turn, locked.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, S>> {
        self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
