//! A small sample CRM: what an agent reads, and what it should not delete lightly.

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

mod companies;

use companies::{COMPANIES, Company, QUARTERS, Region, Stage};

plugin!(get_record, search_records, get_revenue_data, delete_record);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RecordId {
    /// The record's id, as `search_records` returns it, such as `rec_0001`.
    #[schemars(regex(pattern = "^rec_[0-9]{4}$"))]
    id: String,
}

#[derive(Serialize, JsonSchema)]
struct Record {
    #[serde(flatten)]
    company: &'static Company,
    /// In US dollars, oldest quarter first.
    revenue: Vec<QuarterRevenue>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct QuarterRevenue {
    /// Such as `2026-Q1`.
    quarter: &'static str,
    usd: u64,
}

/// Gets one company's record by its id, with its revenue by quarter.
#[tool(title = "Get a record", read_only, open_world = false)]
fn get_record(args: RecordId) -> Result<Record, ToolError> {
    let company = find(&args.id)?;
    let revenue = revenue_by_quarter(&[company]);
    Ok(Record { company, revenue })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// A part of the name, country, industry or owner; case does not matter.
    #[schemars(length(max = 100))]
    query: Option<String>,
    region: Option<Region>,
    stage: Option<Stage>,
    /// How many records to return at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 100))]
    limit: usize,
}

fn default_limit() -> usize {
    20
}

#[derive(Serialize, JsonSchema)]
struct Found {
    /// How many records match, returned or not.
    total: usize,
    records: Vec<&'static Company>,
}

/// Finds companies by text, region and stage; all conditions have to match.
///
/// Without conditions it lists every company, ordered by id.
#[tool(title = "Search records", read_only, open_world = false)]
fn search_records(args: Search) -> Found {
    let query = args.query.unwrap_or_default().to_lowercase();
    let mut records = in_region(args.region);
    records.retain(|company| args.stage.is_none_or(|stage| company.stage == stage));
    records.retain(|company| mentions(company, &query));
    let total = records.len();
    records.truncate(args.limit);
    Found { total, records }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Period {
    /// Only companies of this region.
    region: Option<Region>,
    /// The first quarter, such as `2025-Q1`; by default the first that is known.
    #[schemars(regex(pattern = "^[0-9]{4}-Q[1-4]$"))]
    from: Option<String>,
    /// The last quarter, inclusive; by default the last that is known.
    #[schemars(regex(pattern = "^[0-9]{4}-Q[1-4]$"))]
    to: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Revenue {
    /// In US dollars, over all the quarters.
    total_usd: u64,
    quarters: Vec<QuarterRevenue>,
}

/// Adds up revenue by quarter, over all companies or those of one region.
///
/// Quarters for which nothing is known are left out of the answer.
#[tool(title = "Get revenue", read_only, open_world = false)]
fn get_revenue_data(args: Period) -> Result<Revenue, ToolError> {
    let from = args.from.unwrap_or_else(|| "0000-Q1".into());
    let to = args.to.unwrap_or_else(|| "9999-Q4".into());
    if from > to {
        return Err(ToolError::invalid("`from` is a later quarter than `to`."));
    }
    let mut quarters = revenue_by_quarter(&in_region(args.region));
    // Written like this, quarters sort as text.
    quarters.retain(|revenue| (&*from..=&*to).contains(&revenue.quarter));
    if quarters.is_empty() {
        let known = "Revenue is known from 2025-Q1 to 2026-Q3.";
        return Err(ToolError::not_found("quarter").hint(known));
    }
    Ok(Revenue { total_usd: quarters.iter().map(|revenue| revenue.usd).sum(), quarters })
}

#[derive(Serialize, JsonSchema)]
struct Deleted {
    /// The record as it was.
    deleted: &'static Company,
}

/// Deletes a company's record.
///
/// This CRM is a sample without a store: the record is back on the next call.
#[tool(title = "Delete a record", destructive, idempotent, open_world = false)]
fn delete_record(args: RecordId) -> Result<Deleted, ToolError> {
    let deleted = find(&args.id)?;
    Ok(Deleted { deleted })
}

fn find(id: &str) -> Result<&'static Company, ToolError> {
    let company = COMPANIES.iter().find(|company| company.id == id);
    company.ok_or_else(|| ToolError::not_found("record").hint("`search_records` lists ids."))
}

/// The companies of one region, or all of them.
fn in_region(region: Option<Region>) -> Vec<&'static Company> {
    let inside = |company: &&Company| region.is_none_or(|region| company.region == region);
    COMPANIES.iter().filter(inside).collect()
}

/// Whether a text of the company contains the query, which is in lower case.
fn mentions(company: &Company, query: &str) -> bool {
    let texts = [company.name, company.country, company.industry, company.owner];
    texts.iter().any(|text| text.to_lowercase().contains(query))
}

/// What the companies brought in together.
fn revenue_by_quarter(companies: &[&Company]) -> Vec<QuarterRevenue> {
    let sum =
        |index: usize| companies.iter().filter_map(|company| company.revenue.get(index)).sum();
    let quarters = QUARTERS.into_iter().enumerate();
    quarters.map(|(index, quarter)| QuarterRevenue { quarter, usd: sum(index) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: &str) -> RecordId {
        RecordId { id: id.to_owned() }
    }

    fn search(query: &str, region: Option<Region>, stage: Option<Stage>, limit: usize) -> Found {
        let query = Some(query.to_owned());
        search_records(Search { query, region, stage, limit })
    }

    fn revenue(region: Option<Region>, from: &str, to: &str) -> Result<Revenue, ToolError> {
        let (from, to) = (Some(from.to_owned()), Some(to.to_owned()));
        get_revenue_data(Period { region, from, to })
    }

    #[test]
    fn the_sample_is_in_order() {
        let ids = COMPANIES.iter().map(|company| company.id);
        assert!(ids.eq((1..=40).map(|number| format!("rec_{number:04}"))));
        assert!(QUARTERS.is_sorted());
    }

    #[test]
    fn a_record_is_found_by_its_id() {
        let record = get_record(id("rec_0002")).unwrap();
        assert_eq!(record.company.name, "Aurora Cold Chain");
        let last = QuarterRevenue { quarter: "2026-Q3", usd: 83_250 };
        assert_eq!(record.revenue.last(), Some(&last));
        assert_eq!(get_record(id("rec_9999")).err().unwrap().code, "RECORD_NOT_FOUND");
    }

    #[test]
    fn conditions_add_up_and_the_limit_does_not_change_the_total() {
        assert_eq!(search("NORWAY", None, None, 20).total, 2);
        assert_eq!(search("", Some(Region::Emea), None, 100).total, 15);
        assert_eq!(search("", Some(Region::Emea), Some(Stage::Churned), 100).total, 2);
        assert_eq!(search("nowhere", None, None, 100).total, 0);
        let found = search("", None, None, 3);
        assert_eq!((found.total, found.records.len()), (40, 3));
    }

    #[test]
    fn a_search_without_arguments_lists_the_first_twenty() {
        let output = search_records::call("{}").unwrap().structured.unwrap();
        assert_eq!(output.matches(r#""id":"rec_"#).count(), 20);
    }

    #[test]
    fn regions_add_up_to_the_whole() {
        let regions = [Region::Americas, Region::Apac, Region::Emea];
        let parts = regions.map(|region| revenue(Some(region), "2025-Q1", "2026-Q3").unwrap());
        let whole = revenue(None, "2025-Q1", "2026-Q3").unwrap();
        assert_eq!(parts.iter().map(|part| part.total_usd).sum::<u64>(), whole.total_usd);
        assert_eq!(whole.quarters.len(), QUARTERS.len());
    }

    #[test]
    fn a_period_is_inclusive_and_must_be_known() {
        assert_eq!(revenue(None, "2026-Q1", "2026-Q1").unwrap().quarters.len(), 1);
        assert_eq!(revenue(None, "2024-Q1", "2025-Q1").unwrap().quarters.len(), 1);
        assert_eq!(revenue(None, "2020-Q1", "2021-Q1").unwrap_err().code, "QUARTER_NOT_FOUND");
        assert_eq!(revenue(None, "2026-Q2", "2026-Q1").unwrap_err().code, "INVALID_INPUT");
    }

    #[test]
    fn only_deleting_is_destructive() {
        assert_eq!(delete_record(id("rec_0001")).unwrap().deleted.id, "rec_0001");
        assert_eq!(delete_record(id("rec_0000")).err().unwrap().code, "RECORD_NOT_FOUND");
        assert_eq!(delete_record::declaration().annotations.destructive, Some(true));
        for reads in [
            get_record::declaration(),
            search_records::declaration(),
            get_revenue_data::declaration(),
        ] {
            assert_eq!(reads.annotations.read_only, Some(true), "{}", reads.name);
        }
    }
}
