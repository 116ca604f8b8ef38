//! Tokens with which chat templates tell who speaks.
//!
//! The threat: a text that holds them ends its own turn and begins another's, where a
//! client renders results into a template as they are. The first character becomes an
//! HTML entity: a model reads the same, and a tokenizer no control token.

/// Tokens that stand alone, of the common families: Llama 2 and Mistral, Gemma, Qwen and
/// Hermes, DeepSeek's and others' thoughts, GLM, Claude's calls.
pub(super) const IN_BRACKETS: &[&str] = &[
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[gMASK]",
];

const IN_ANGLES: &[&str] = &[
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<sop>",
    "<eop>",
    "<<SYS>>",
    "<</SYS>>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<function_calls>",
    "</function_calls>",
    "<function_results>",
    "</function_results>",
];

/// The longest name between bars, in characters.
const LONGEST: usize = 64;

/// Whether `text`, which begins with `<`, begins with a token: one of the list, or any
/// name between bars, as in ChatML, Llama 3 and 4, gpt-oss, Phi, Command R and, with
/// full-width bars, DeepSeek.
pub(super) fn is_token(text: &str) -> bool {
    let barred = |open: &str, close: &str| {
        let rest = text.strip_prefix(open)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '▁' | ' ');
        let length: usize =
            rest.chars().take(LONGEST).take_while(|c| is_name(*c)).map(char::len_utf8).sum();
        let (name, after) = (rest.get(..length)?, rest.get(length..)?);
        let is_word = !name.is_empty() && !name.starts_with(' ') && !name.ends_with(' ');
        (is_word && after.starts_with(close)).then_some(())
    };
    barred("<|", "|>").or_else(|| barred("<｜", "｜>")).is_some()
        || IN_ANGLES.iter().any(|token| text.starts_with(token))
}
