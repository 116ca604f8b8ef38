//! Has a tool whose name is none.

use guests::tool;

guests::lists!(vec![tool("bad name\u{1b}[31m!")]);
