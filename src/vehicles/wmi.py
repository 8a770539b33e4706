"""World manufacturer identifiers, the first three characters of a VIN: whose they are, and of which country.

Countries are those of ISO 3780, as SAE International assigns them. Makers are those of `vininfo` where it is right.
Its list was gathered from vehicles, typing mistakes included, and it takes two characters for a whole maker; so its
exact entries count alone, without the ones that name nobody's code or a small maker's (ISO 3780: the third character
is 9, and positions 12 to 14 tell which). `_CORRECTED` and `_OWNED` outrank it: codes that makers have declared to NHTSA
(49 CFR 565.16), as public lists give them. Who is not sure says nothing: an unknown maker is None.
"""

import re
import unicodedata
from functools import cache

from vininfo.dicts.wmi import WMI

_ORDER = "ABCDEFGHJKLMNPRSTUVWXYZ1234567890"
NORTH_AMERICA = "12345"

# First character: the ranges of the second, and whose they are.
_ASSIGNED = {
    "A": "AH:ZA JK:CI LM:LS NP:BW RS:NA TU:MG VW:MU XY:TN Z1:CY 23:ZW 45:MZ",
    "B": "AB:AO CC:ET FG:KE HH:RW LL:NG RR:DZ TT:SZ UU:UG 34:LY",
    "C": "AB:EG FG:MA LM:ZM",
    "D": "AE:EG",
    "H": "A0:CN",
    "J": "A0:JP",
    "K": "FH:IL LR:KR ST:JO",
    "L": "A0:CN",
    "M": "AE:IN FK:ID LR:TH SS:MM UU:MN XX:KZ 16:IN",
    "N": "AE:IR FG:PK JJ:IQ LR:TR ST:UZ UU:AZ YY:AM 15:IR",
    "P": "AC:PH FG:SG LR:MY ST:BD",
    "R": "AB:AE FK:TW LN:VN PP:LA ST:SA UW:RU 11:HK",
    "S": "AM:GB NT:DE UZ:PL 12:LV",
    "T": "AH:CH JP:CZ RV:HU W2:PT 35:RS 66:AD",
    "U": "AC:ES HM:DK NR:IE UW:RO 12:MK 57:SK 80:BA",
    "V": "AE:AT FR:FR SW:ES X2:RS 35:HR 68:EE",
    "W": "A0:DE",
    "X": "AC:BG DE:RU FH:GR JK:RU LR:NL SW:RU XY:LU Z0:RU",
    "Y": "AE:BE FK:FI NN:MT SW:SE X2:NO 35:BY 68:UA",
    "Z": "AU:IT XZ:SI 11:SM 35:LT 60:RU",
    "1": "A0:US",
    "2": "A5:CA",
    "3": "AX:MX 55:DO 66:HN 77:PA 89:PR",
    "4": "A0:US",
    "5": "A0:US",
    "6": "AX:AU Y1:NZ",
    "7": "AE:NZ F0:US",
    "8": "AE:AR FG:CL LN:EC ST:PE XZ:VE 22:BO",
    "9": "AE:BR FG:CO SV:UY 20:BR",
}

_CORRECTED = {
    "Acura": "19U 19V",
    "American Motors": "1AM",
    "Ashok Leyland": "MB1",
    "BAIC": "LNB",
    "BMW": "WB1 WB3 WB5 5UX 5UM",
    "Blue Bird": "1BA",
    "BYD": "LC0 LGX LPE",
    "Changan": "LS4 LS5",
    "Chery": "LVV LVT",
    "Daimler India": "MEC",
    "Dongfeng": "LGA LGH LGJ",
    "FAW": "LFN LFP LFW",
    "Foton": "LVA LVB",
    "Ford": "MAJ",
    "Freightliner": "3AK 3AL",
    "Genesis": "KMT",
    "Geely": "LB3 L6T",
    "Great Dane": "1GR",
    "Great Wall": "LGW",
    "Hero": "MBL",
    "Hino": "JHA JHB JHD JHF JHH",
    "Honda": "19X 1HF 1HG 2HG 2HJ 2HK 3HG 5FN 5FP JH1 JH2 JH3 JHL JHN JHZ ME4 MLH",
    "Hyundai": "KMH KM8 KMF KMJ",
    "International": "1HS 1HT 1HV 2HS 2HT 3HA 3HS 3HT",
    "Isuzu": "ACV JAA JAB JAL JAM JAN",
    "Kenworth": "1NK 1XK 2NK 3BK",
    "Kia": "KNA KNB KNC KND KNE KNH",
    "Mazda": "JM0 JM1 JM2 JM3 JM4 JM6 JM7 JMZ",
    "Mitsubishi": "JA7 JMA JMP JMY",
    "Mitsubishi Fuso": "JL5 JL6 JL7 JLF JLS JW6 JW7",
    "Motor Coach Industries": "1M8 2MG",
    "New Flyer": "2FY 5FY",
    "Nissan": "3N6 ADN JN6 JN8",
    "Peterbilt": "1NP 1XP 2NP 3BP",
    "Proton": "PL1",
    "Scania": "XLE YS2",
    "Shacman": "LZG",
    "Sinotruk": "LZZ",
    "SsangYong": "KPA KPB KPT",
    "Sterling": "2FW 2FZ",
    "Suzuki": "MBH MHY TSM",
    "TVS": "MD6",
    "Toyota": "1NX 2T1 2T3 4T1 4T3 4T4 5TB 5TD 5TE 5TF JTK JTL JTN MBJ MHF MR1 MR2 NMT PN1 RKL VNK",
    "UD Trucks": "JNA JPC",
}

# Two characters of which one maker holds every code but those named otherwise.
_OWNED = {
    "1F": "Ford",
    "1G": "General Motors",
    "1N": "Nissan",
    "2F": "Ford",
    "2G": "General Motors",
    "3F": "Ford",
    "3G": "General Motors",
    "3N": "Nissan",
    "JF": "Subaru",
    "JK": "Kawasaki",
    "JN": "Nissan",
    "JS": "Suzuki",
    "JT": "Toyota",
    "JY": "Yamaha",
    "KL": "GM Korea",
    "W1": "Mercedes-Benz",
    "WV": "Volkswagen",
}

# Entries of vininfo that no maker declares: typed wrongly, or read from a plate that is no VIN.
_NOBODYS = (
    "112 115 117 119 123 124 137 178 17V 1JN 1L4 1V4 210 309 460 601 602 B01 DA4 JGN KC4 KLM KRX SNE STE "
    "W00 WDW WE0 WF1 WF3 WF7 WFO WMB WNK WS0 WSS WUW WV0 WWD WWW WYG WYW WZW XXX YMB"
)

# Brands of one house are sold under each other's codes, and have been since before some of them parted.
_HOUSES = (
    "toyota lexus scion daihatsu hino",
    "volkswagen vw audi quattro seat cupra skoda porsche bentley lamborghini bugatti man scania neoplan",
    "gm general_motors chevrolet chevy buick cadillac pontiac oldsmobile saturn hummer gmc holden daewoo opel vauxhall"
    " wuling isuzu saab",
    "ford lincoln mercury",
    "stellantis fca chrysler dodge jeep ram plymouth fiat alfa lancia maserati abarth peugeot citroen ds opel"
    " vauxhall talbot iveco",
    "hyundai kia genesis",
    "renault nissan infiniti datsun dacia samsung lada avtovaz mitsubishi",
    "mitsubishi_fuso fuso mercedes_benz mercedes daimler smart maybach bharatbenz setra freightliner",
    "bmw mini rolls_royce alpina",
    "geely volvo lynk polestar zeekr lotus proton",
    "jaguar land_rover range_rover rover tata mg saic ldv maxus",
    "suzuki maruti santana",
    "honda acura",
    "mazda",
    "subaru fuji",
    "tesla",
    "byd",
    "chery jetour exeed omoda jaecoo",
    "great_wall haval gwm tank ora",
    "changan",
    "dongfeng dfm dfsk",
    "faw bestune hongqi",
    "sinotruk howo",
    "shacman shaanxi",
    "foton",
    "zotye",
    "great_dane",
    "sterling",
    "jac",
    "baic beijing",
    "gac trumpchi",
    "lifan",
    "mahindra",
    "ssangyong",
    "ferrari",
    "bajaj",
    "tvs",
    "yamaha",
    "kawasaki",
    "harley",
    "ducati",
    "daf paccar kenworth peterbilt",
    "ud_trucks nissan volvo",
    "international navistar",
    "mack volvo renault",
    "motor_coach mci",
    "blue_bird",
    "new_flyer",
    "ashok_leyland",
    "aston_martin",
    "mclaren",
    "triumph",
    "ktm",
    "piaggio vespa aprilia gilera",
    "hero",
    "ikarus",
    "tatra",
    "yutong",
    "king_long",
)


@cache
def _countries() -> dict[str, str]:
    found = {}
    for first, ranges in _ASSIGNED.items():
        for assigned in ranges.split():
            start, end, country = assigned[0], assigned[1], assigned[3:]
            for second in _ORDER[_ORDER.index(start) : _ORDER.index(end) + 1]:
                found[first + second] = country
    return found


@cache
def _makers() -> dict[str, str]:
    nobodys = _NOBODYS.split()
    listed = {
        code: str(getattr(maker, "manufacturer", maker))
        for code, maker in WMI.items()
        if len(code) == 3 and code[2] != "9" and code not in nobodys and country_of(code)
    }
    return listed | {code: maker for maker, codes in _CORRECTED.items() for code in codes.split()}


def country_of(wmi: str) -> str | None:
    """The country to which the code is assigned, as ISO 3166-1 alpha-2; where the maker sits, if not the factory."""
    return _countries().get(wmi[:2])


def maker_of(wmi: str) -> str | None:
    """The maker whose code it is, if it is a known one."""
    return _makers().get(wmi) or (_OWNED.get(wmi[:2]) if wmi[2:] != "9" else None)


def is_north_american(wmi: str) -> bool:
    """Whether the rules of 49 CFR 565 bind the whole VIN; the United States also hold 7F to 70."""
    return wmi[0] in NORTH_AMERICA or country_of(wmi) == "US"


def may_be_of(maker: str, make: str) -> bool:
    """Whether a vehicle with this maker's code may be sold under that name; true of names that nobody here knows."""
    makers, makes = _houses_in(maker), _houses_in(make)
    return not makers or not makes or bool(makers & makes)


def _houses_in(name: str) -> set[int]:
    """The houses of every brand that the name mentions."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    words = f" {' '.join(re.findall('[a-z0-9]+', re.sub('[^a-z0-9 /-]', '', plain)))} "
    return {house for brand, house in _brands() if f" {brand} " in words}


@cache
def _brands() -> tuple[tuple[str, int], ...]:
    return tuple((brand.replace("_", " "), number) for number, brands in enumerate(_HOUSES) for brand in brands.split())
