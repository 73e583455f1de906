"""Some of India's pincodes, with their cities and states as ClickPost writes them."""

from collections.abc import Mapping
from types import MappingProxyType

_BY_CITY: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("NEW DELHI", "DELHI"): "110001 110016 110025 110048",
        ("GURGAON", "HARYANA"): "122001 122002",
        ("FARIDABAD", "HARYANA"): "121001",
        ("CHANDIGARH", "CHANDIGARH"): "160017",
        ("LUDHIANA", "PUNJAB"): "141001",
        ("AMRITSAR", "PUNJAB"): "143001",
        ("NOIDA", "UTTAR PRADESH"): "201301",
        ("KANPUR", "UTTAR PRADESH"): "208001",
        ("VARANASI", "UTTAR PRADESH"): "221001",
        ("LUCKNOW", "UTTAR PRADESH"): "226001 226010",
        ("DEHRADUN", "UTTARAKHAND"): "248001",
        ("JAIPUR", "RAJASTHAN"): "302001",
        ("UDAIPUR", "RAJASTHAN"): "313001",
        ("AHMEDABAD", "GUJARAT"): "380001 380009 380015 380055",
        ("VADODARA", "GUJARAT"): "390001",
        ("SURAT", "GUJARAT"): "395003",
        ("MUMBAI", "MAHARASHTRA"): "400001 400050 400076",
        ("PUNE", "MAHARASHTRA"): "411001 411045",
        ("NAGPUR", "MAHARASHTRA"): "440001",
        ("PANAJI", "GOA"): "403001",
        ("INDORE", "MADHYA PRADESH"): "452001",
        ("BHOPAL", "MADHYA PRADESH"): "462001",
        ("RAIPUR", "CHHATTISGARH"): "492001",
        ("HYDERABAD", "TELANGANA"): "500001 500081",
        ("VIJAYAWADA", "ANDHRA PRADESH"): "520001",
        ("VISAKHAPATNAM", "ANDHRA PRADESH"): "530001",
        ("BENGALURU", "KARNATAKA"): "560001 560034 560100",
        ("MYSURU", "KARNATAKA"): "570001",
        ("CHENNAI", "TAMIL NADU"): "600001 600017",
        ("COIMBATORE", "TAMIL NADU"): "641001",
        ("KOCHI", "KERALA"): "682001 682011",
        ("THIRUVANANTHAPURAM", "KERALA"): "695001",
        ("KOLKATA", "WEST BENGAL"): "700001 700091",
        ("BHUBANESWAR", "ODISHA"): "751001",
        ("GUWAHATI", "ASSAM"): "781001",
        ("PATNA", "BIHAR"): "800001",
        ("RANCHI", "JHARKHAND"): "834001",
    }
)

PLACES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {pincode: place for place, pincodes in _BY_CITY.items() for pincode in pincodes.split()}
)
