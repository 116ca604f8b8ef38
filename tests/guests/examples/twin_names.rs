//! Has two tools of one name.

use guests::tool;

guests::lists!(vec![tool("twin"), tool("twin")]);
