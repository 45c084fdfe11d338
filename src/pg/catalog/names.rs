//! Names of relations as the parameters and the columns of the catalog's queries.

use tokio_postgres::Row;

use crate::pg::{FqName, Param, text_array};

/// Names as the two arrays, of schemas and of names, that the queries of this module take.
pub(super) struct Names {
    schemas: Vec<String>,
    names: Vec<String>,
}

impl Names {
    pub(super) fn of(names: &[FqName]) -> Names {
        Names {
            schemas: names.iter().map(|n| n.schema.clone()).collect(),
            names: names.iter().map(|n| n.name.clone()).collect(),
        }
    }

    pub(super) fn params(&self) -> [Param<'_>; 2] {
        [text_array(&self.schemas), text_array(&self.names)]
    }
}

/// The name in the columns `at` and `at + 1`.
pub(super) fn fq_name(row: &Row, at: usize) -> FqName {
    FqName { schema: row.get(at), name: row.get(at + 1) }
}
