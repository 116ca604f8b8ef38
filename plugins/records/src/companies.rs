//! The sample data: forty invented companies.

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use Region::{Americas, Apac, Emea};
use Stage::{Churned, Customer, Lead, Negotiation};

/// The quarters that the sample covers, oldest first.
pub(crate) const QUARTERS: [&str; 7] =
    ["2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3"];

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Company {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) region: Region,
    pub(crate) country: &'static str,
    pub(crate) industry: &'static str,
    /// Who in the sales team looks after it.
    pub(crate) owner: &'static str,
    pub(crate) stage: Stage,
    /// In US dollars, for each of `QUARTERS`.
    #[serde(skip)]
    pub(crate) revenue: [u64; QUARTERS.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Region {
    Americas,
    Apac,
    Emea,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Lead,
    Negotiation,
    Customer,
    Churned,
}

/// All companies, by id.
#[rustfmt::skip]
pub(crate) const COMPANIES: &[Company] = &[
    Company { id: "rec_0001", name: "Alderwick Instruments", region: Emea, country: "United Kingdom", industry: "Medical devices", owner: "Priya Nair", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0002", name: "Aurora Cold Chain", region: Emea, country: "Norway", industry: "Logistics", owner: "Jonas Brandt", stage: Customer, revenue: [61_450, 59_700, 66_150, 73_450, 71_400, 76_000, 83_250] },
    Company { id: "rec_0003", name: "Baobab Mobile Money", region: Emea, country: "Kenya", industry: "Financial services", owner: "Amara Okafor", stage: Negotiation, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0004", name: "Bluefin Diagnostics", region: Americas, country: "United States", industry: "Medical devices", owner: "Daniel Reyes", stage: Negotiation, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0005", name: "Brightwater Utilities", region: Americas, country: "Canada", industry: "Energy", owner: "Sofia Marchetti", stage: Customer, revenue: [50_000, 50_400, 48_650, 47_650, 47_800, 46_100, 45_200] },
    Company { id: "rec_0006", name: "Calder & Rowe", region: Emea, country: "United Kingdom", industry: "Professional services", owner: "Priya Nair", stage: Churned, revenue: [184_500, 197_300, 202_800, 214_000, 195_600, 0, 0] },
    Company { id: "rec_0007", name: "Cascadia Timber", region: Americas, country: "United States", industry: "Manufacturing", owner: "Daniel Reyes", stage: Customer, revenue: [87_400, 81_150, 86_900, 80_900, 78_250, 82_750, 75_950] },
    Company { id: "rec_0008", name: "Chen Precision Optics", region: Apac, country: "Taiwan", industry: "Manufacturing", owner: "Mei Tanaka", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0009", name: "Cobalt Ridge Mining", region: Apac, country: "Australia", industry: "Mining", owner: "Liam Walsh", stage: Customer, revenue: [0, 0, 0, 54_400, 54_900, 60_300, 67_950] },
    Company { id: "rec_0010", name: "Cordillera Coffee", region: Americas, country: "Colombia", industry: "Food and beverage", owner: "Sofia Marchetti", stage: Customer, revenue: [35_400, 37_800, 39_100, 37_900, 41_150, 43_250, 42_250] },
    Company { id: "rec_0011", name: "Delta Freight Lines", region: Americas, country: "United States", industry: "Logistics", owner: "Daniel Reyes", stage: Customer, revenue: [85_100, 83_900, 81_750, 84_450, 77_550, 81_650, 74_900] },
    Company { id: "rec_0012", name: "Dockside Robotics", region: Emea, country: "Netherlands", industry: "Manufacturing", owner: "Jonas Brandt", stage: Customer, revenue: [23_050, 24_300, 25_500, 24_100, 23_800, 25_050, 22_450] },
    Company { id: "rec_0013", name: "Eastgate Pharmacies", region: Apac, country: "Singapore", industry: "Retail", owner: "Mei Tanaka", stage: Customer, revenue: [46_550, 54_500, 60_050, 63_900, 66_050, 81_150, 81_150] },
    Company { id: "rec_0014", name: "Ember Home Energy", region: Emea, country: "Germany", industry: "Energy", owner: "Jonas Brandt", stage: Customer, revenue: [35_250, 38_200, 40_950, 40_050, 42_300, 44_500, 47_100] },
    Company { id: "rec_0015", name: "Fjordline Ferries", region: Emea, country: "Norway", industry: "Transport", owner: "Jonas Brandt", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0016", name: "Foxglove Cosmetics", region: Emea, country: "France", industry: "Retail", owner: "Amara Okafor", stage: Customer, revenue: [118_250, 130_850, 138_750, 151_100, 150_350, 157_200, 176_050] },
    Company { id: "rec_0017", name: "Granite State Credit Union", region: Americas, country: "United States", industry: "Financial services", owner: "Daniel Reyes", stage: Customer, revenue: [18_000, 19_450, 20_700, 23_550, 23_550, 27_850, 28_450] },
    Company { id: "rec_0018", name: "Harbor & Finch", region: Americas, country: "Canada", industry: "Retail", owner: "Sofia Marchetti", stage: Customer, revenue: [128_000, 124_950, 128_550, 137_950, 153_550, 152_550, 169_250] },
    Company { id: "rec_0019", name: "Helios Agritech", region: Emea, country: "Spain", industry: "Agriculture", owner: "Amara Okafor", stage: Negotiation, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0020", name: "Indus Valley Textiles", region: Apac, country: "India", industry: "Manufacturing", owner: "Liam Walsh", stage: Churned, revenue: [90_600, 90_350, 91_750, 97_450, 89_700, 0, 0] },
    Company { id: "rec_0021", name: "Juniper Learning", region: Americas, country: "United States", industry: "Education", owner: "Daniel Reyes", stage: Customer, revenue: [56_200, 59_200, 67_100, 65_800, 68_750, 71_900, 84_350] },
    Company { id: "rec_0022", name: "Kansai Bearings", region: Apac, country: "Japan", industry: "Manufacturing", owner: "Mei Tanaka", stage: Customer, revenue: [58_200, 63_800, 63_250, 67_250, 73_550, 75_850, 79_450] },
    Company { id: "rec_0023", name: "Kestrel Aviation Parts", region: Emea, country: "Ireland", industry: "Transport", owner: "Priya Nair", stage: Negotiation, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0024", name: "Lakeshore Hospitals", region: Americas, country: "Canada", industry: "Healthcare", owner: "Sofia Marchetti", stage: Customer, revenue: [0, 0, 0, 45_900, 47_900, 51_750, 56_100] },
    Company { id: "rec_0025", name: "Lumen Street Studios", region: Americas, country: "United States", industry: "Media", owner: "Daniel Reyes", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0026", name: "Mangrove Insurance", region: Apac, country: "Singapore", industry: "Financial services", owner: "Liam Walsh", stage: Churned, revenue: [35_500, 38_650, 40_100, 0, 0, 0, 0] },
    Company { id: "rec_0027", name: "Meridian Grid", region: Emea, country: "Denmark", industry: "Energy", owner: "Jonas Brandt", stage: Churned, revenue: [79_300, 82_000, 83_900, 89_050, 0, 0, 0] },
    Company { id: "rec_0028", name: "Northwind Robotics", region: Americas, country: "United States", industry: "Manufacturing", owner: "Sofia Marchetti", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0029", name: "Olivar Foods", region: Emea, country: "Spain", industry: "Food and beverage", owner: "Amara Okafor", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0030", name: "Pampas Beef Collective", region: Americas, country: "Argentina", industry: "Agriculture", owner: "Sofia Marchetti", stage: Customer, revenue: [120_200, 137_700, 135_250, 146_700, 169_300, 187_200, 182_550] },
    Company { id: "rec_0031", name: "Quayside Hotels", region: Emea, country: "United Kingdom", industry: "Hospitality", owner: "Priya Nair", stage: Customer, revenue: [0, 135_150, 127_600, 153_300, 146_100, 161_500, 180_150] },
    Company { id: "rec_0032", name: "Redgum Vineyards", region: Apac, country: "Australia", industry: "Food and beverage", owner: "Liam Walsh", stage: Customer, revenue: [86_450, 86_050, 100_300, 97_300, 108_800, 109_050, 116_350] },
    Company { id: "rec_0033", name: "Sagebrush Solar", region: Americas, country: "United States", industry: "Energy", owner: "Daniel Reyes", stage: Customer, revenue: [17_000, 18_650, 19_950, 19_000, 21_700, 23_000, 23_850] },
    Company { id: "rec_0034", name: "Seoul Night Markets", region: Apac, country: "South Korea", industry: "Retail", owner: "Mei Tanaka", stage: Customer, revenue: [118_400, 122_950, 117_550, 120_100, 131_600, 115_250, 131_700] },
    Company { id: "rec_0035", name: "Silverline Metro", region: Emea, country: "Germany", industry: "Transport", owner: "Jonas Brandt", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0036", name: "Summit Trail Outfitters", region: Americas, country: "Canada", industry: "Retail", owner: "Sofia Marchetti", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0037", name: "Tasman Telecom", region: Apac, country: "New Zealand", industry: "Telecommunications", owner: "Liam Walsh", stage: Lead, revenue: [0, 0, 0, 0, 0, 0, 0] },
    Company { id: "rec_0038", name: "Umbra Security", region: Emea, country: "Israel", industry: "Software", owner: "Amara Okafor", stage: Customer, revenue: [224_650, 264_850, 277_450, 298_500, 313_200, 342_100, 323_150] },
    Company { id: "rec_0039", name: "Vantage Freight Insurance", region: Americas, country: "United States", industry: "Financial services", owner: "Daniel Reyes", stage: Customer, revenue: [64_150, 55_900, 53_400, 56_650, 57_050, 49_200, 47_950] },
    Company { id: "rec_0040", name: "Zenkai Games", region: Apac, country: "Japan", industry: "Media", owner: "Mei Tanaka", stage: Negotiation, revenue: [0, 0, 0, 0, 0, 0, 0] },
];
