//! WASI Preview 1, for modules: the library's, which is inert, and three functions of
//! ours in the place of its own.
//!
//! The library answers a read or write that is larger than what the engine lets guests
//! hand over with an error number, which programs take for the end of their input, or do
//! not look at: a result would be cut and nobody told. Ours read and write as much as they
//! want to at once, which programs have to expect, and refuse what is too much in all.

use wasmtime::{AsContextMut, Caller, Linker};
use wasmtime_wasi::I32Exit;

use crate::runtime::state::CallState;

const MODULE: &str = "wasi_snapshot_preview1";

/// What the library's functions may take out of a guest's memory at once: 50
/// subscriptions of `poll_oneoff`, 500 buffers, a path. The host works on it while the
/// engine's meter stands still.
pub(in crate::runtime) const HANDOVER: usize = 4 << 10;

/// How much is read or written at once, in bytes.
const MAX_AT_ONCE: usize = 16 << 10;

/// How many buffers of one read or write are looked at for one that is not empty.
const MAX_BUFFERS: u32 = 16;

/// `errno` of Preview 1.
mod errno {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const BADF: i32 = 8;
    pub(super) const FAULT: i32 = 21;
}

/// Links all of it.
pub(in crate::runtime) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p1::add_to_linker_async(linker, CallState::preview1)?;
    linker.allow_shadowing(true);
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "fd_read", fd_read)?;
    // The library ends a program that ends with a status above 125 in a trap.
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, CallState>, status: i32| {
        Err::<(), _>(I32Exit(status).into())
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// `fd_write(fd, iovs, iovs_len, nwritten) -> errno`.
fn fd_write(
    mut caller: Caller<'_, CallState>,
    fd: i32,
    buffers: u32,
    count: u32,
    written: u32,
) -> wasmtime::Result<i32> {
    let Some((memory, state)) = guest(&mut caller) else { return Ok(errno::FAULT) };
    let Some(output) = state.output(fd) else { return Ok(errno::BADF) };
    let Some(buffer) = first_buffer(memory, buffers, count) else { return Ok(errno::FAULT) };
    let (start, length) = buffer;
    let Some(bytes) = memory.get(start..start.saturating_add(length)) else {
        return Ok(errno::FAULT);
    };
    output.take(bytes)?;
    Ok(tell(memory, written, length))
}

/// `fd_read(fd, iovs, iovs_len, nread) -> errno`.
fn fd_read(
    mut caller: Caller<'_, CallState>,
    fd: i32,
    buffers: u32,
    count: u32,
    read: u32,
) -> wasmtime::Result<i32> {
    let Some((memory, state)) = guest(&mut caller) else { return Ok(errno::FAULT) };
    let Some(input) = state.input(fd) else { return Ok(errno::BADF) };
    let Some((start, length)) = first_buffer(memory, buffers, count) else {
        return Ok(errno::FAULT);
    };
    let bytes = input.split_to(length.min(input.len()));
    let Some(buffer) = memory.get_mut(start..start.saturating_add(bytes.len())) else {
        return Ok(errno::FAULT);
    };
    buffer.copy_from_slice(&bytes);
    Ok(tell(memory, read, bytes.len()))
}

/// A guest's memory, and the state of its call.
fn guest<'a>(caller: &'a mut Caller<'_, CallState>) -> Option<(&'a mut [u8], &'a mut CallState)> {
    let memory = caller.get_export("memory")?.into_memory()?;
    let (memory, state) = memory.data_and_store_mut(caller.as_context_mut());
    Some((memory, state))
}

/// Where the first buffer that is not empty begins, and how much of it is taken.
fn first_buffer(memory: &[u8], buffers: u32, count: u32) -> Option<(usize, usize)> {
    let mut found = (0, 0);
    for at in 0..count.min(MAX_BUFFERS) {
        let entry = buffers.checked_add(at.checked_mul(8)?)?;
        let (start, length) = (number(memory, entry)?, number(memory, entry.checked_add(4)?)?);
        if length > 0 {
            found = (start as usize, (length as usize).min(MAX_AT_ONCE));
            break;
        }
    }
    Some(found)
}

fn number(memory: &[u8], at: u32) -> Option<u32> {
    let bytes = memory.get(at as usize..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Writes how much was read or written.
fn tell(memory: &mut [u8], at: u32, length: usize) -> i32 {
    let place = memory.get_mut(at as usize..).and_then(|rest| rest.first_chunk_mut());
    match (place, u32::try_from(length)) {
        (Some(place), Ok(length)) => {
            *place = length.to_le_bytes();
            errno::SUCCESS
        }
        _ => errno::FAULT,
    }
}
