#include "words.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* One sentence is one line, whatever its width. */
/* clang-format off */
const char *const words_first[HANDLE_WORDS] = {
    "Calm",  "Brave", "Quiet", "Swift", "Amber", "Lunar", "Solar", "Misty",
    "Rusty", "Sunny", "Windy", "Green", "Ivory", "Coral", "Royal", "Proud",
    "Early", "Noble", "Vivid", "Lucky", "Tidal", "Polar", "Rural", "Urban",
    "Civic", "Exact", "Fresh", "Gold",  "Happy", "Jade",  "Keen",  "Mild",
};
const char *const words_second[HANDLE_WORDS] = {
    "Otter", "Heron", "Maple", "River", "Stone", "Cedar", "Finch", "Field",
    "Ridge", "Cloud", "Bay",   "Lark",  "Comet", "Delta", "Ember", "Fjord",
    "Grove", "Haven", "Inlet", "Kite",  "Lilac", "Moss",  "North", "Oasis",
    "Pine",  "Quill", "Reef",  "Spark", "Tide",  "Vale",  "Wren",  "Yarn",
};
const char *const words_names[] = {
    "Harbour Notes",         "Mira Vale",       "Tom & Ada",
    "Ночной дозор",          "青い鳥の記録",    "Café Québec",
    "Ridge <Weather>",       "مرصد الجبل",      "Field Lab 🔬",
    "Østersø Radio",         "डाक घर",          "Cedar Bikes 🚲",
    "Łódź Transport",        "작은 책방",       "Civic Data Desk",
    "Open Rivers",           "Niña & Co.",      "Sam \"Kite\" Ito",
    "👩‍🔬 Lab diary", "Old Mill Bakery", "The Quiet Observer",
    "Παλιός Χάρτης",         "Polar Desk",      "ร้านหนังสือ",
    "Windmill Works",
};
const size_t words_names_count = COUNT(words_names);

static const char *const english[] = {
    "Water level at the old bridge is {n} mm this morning, slowly falling.",
    "We counted {n} swifts over the harbour & lost three sheets of paper to the wind 🌬️",
    "If x < {n} and y > 3, the pump stops. It really is that simple.",
    "Build {n} is out: fewer surprises, better logs, same old coffee ☕",
    "R&D meeting moved to room {n}. Bring the <blue> folder, not the green one.",
    "Thread on tides, part {n}: why the second wave is always taller 🌊🌊",
    "Lost & found: one umbrella, {n} gloves, zero explanations.",
    "Correction to our note of yesterday: the figure is {n}, not 12 %.",
    "The night train was {n} minutes late and nobody minded. 🚆✨",
    "Open data release {n} is here. Every column is documented this time.",
    "\"It works on my machine\" said the machine, {n} times.",
    "Soup of the day: leek & potato. Price: {n} cents. Mood: excellent 🥣",
    "Something went wrong. Try reloading. (Sign seen at gate {n} of the museum)",
    "Two cyclists, {n} sheep and one very patient bus driver 👩‍👩‍👧 on the coast road.",
};
static const char *const german[] = {
    "Der Pegel steht heute bei {n} cm, Tendenz fallend & ruhig.",
    "Größe {n} ist ausverkauft, aber schöne Grüße aus Köln 🥨",
    "Wenn a < b, dann fährt der Bus nach {n} Minuten trotzdem nicht.",
    "Neue Ausgabe Nr. {n}: Brücken, Boote, Bäckereien.",
};
static const char *const spanish[] = {
    "¿Quién apagó la luz en la sala {n}? Mañana habrá café & pan 🥐",
    "El tren número {n} sale del andén dos; pasajeros > maletas.",
    "Hoy medimos {n} litros de lluvia en el jardín 🌧️",
};
static const char *const french[] = {
    "L’été commence au quai n° {n} : musique & crêpes 🥞",
    "Près de {n} élèves ont planté des chênes < 1 m.",
    "Le phare a été repeint {n} fois. Ça suffit, non ?",
};
static const char *const portuguese[] = {
    "A estação {n} abriu: pão quente, café & jornal ☀️",
    "Não há {n} sem dois; amanhã há três.",
};
static const char *const japanese[] = {
    "本日の気温は{n}度、海は静かです🌊",
    "第{n}回の観察会を開きます。雨天中止＆傘不要☂️",
    "新しい地図を公開しました（版{n}）。",
};
static const char *const arabic[] = {
    "وصل القطار رقم {n} في موعده اليوم 🚉",
    "قسنا {n} لتراً من المطر في الحديقة & انتهى اليوم.",
};
static const char *const hindi[] = {
    "आज नदी का स्तर {n} सेमी है 🌿",
    "पुस्तकालय में {n} नई किताबें आई हैं & सब मुफ़्त।",
};
static const char *const russian[] = {
    "Сегодня {n} чаек над гаванью, ветер < 5 м/с 🐦",
    "Выпуск №{n}: мосты & лодки, читайте вечером.",
};
static const char *const korean[] = {
    "오늘의 커피는 {n}번째 잔입니다 ☕",
    "작은 책방에 새 책 {n}권이 왔어요 📚",
};
static const char *const chinese[] = {
    "今天港口有{n}艘船，天气很好🚢",
    "第{n}期：桥梁与河流，欢迎转发👏🏽",
};
static const char *const thai[] = {
    "วันนี้ฝนตก {n} มิลลิเมตร ☔",
};
static const char *const undetermined[] = {
    "🇳🇴🇯🇵🏴‍☠️ {n} 👍🏿",
    "{n}!!!",
};

/* clang-format on */

#define TONGUE(code, list)                                                                     \
    {                                                                                          \
        code, list, COUNT(list)                                                                \
    }
const struct tongue words_tongues[] = {
    TONGUE("en", english),       TONGUE("de", german),     TONGUE("es", spanish),
    TONGUE("fr", french),        TONGUE("pt", portuguese), TONGUE("ja", japanese),
    TONGUE("ar", arabic),        TONGUE("hi", hindi),      TONGUE("ru", russian),
    TONGUE("ko", korean),        TONGUE("zh", chinese),    TONGUE("th", thai),
    TONGUE("und", undetermined),
};
const size_t words_tongues_count = COUNT(words_tongues);

const char *const words_hashtags[] = {"opendata", "rivers",    "nighttrain",   "Çevre",
                                      "天気",     "Brücken",   "tidewatch",    "погода",
                                      "R2D2",     "slow_news", "maps",         "café",
                                      "साइकिल",   "fieldwork", "BirdsOfTheBay"};
const size_t words_hashtags_count = COUNT(words_hashtags);
const char *const words_cashtags[] = {"FLMR", "TIDE", "OTTR", "KITE", "REEF"};
const size_t words_cashtags_count = COUNT(words_cashtags);
const char *const words_sites[] = {"harbour.example",     "news.tidewatch.example",
                                   "data.rivers.example", "maps.example",
                                   "bücher.example",      "blog.cedar.example"};
const size_t words_sites_count = COUNT(words_sites);
const char *const words_places[] = {"Old Harbour", "Köln & Umgebung",    "東京",
                                    "São Tomé",    "on the night train", ""};
const size_t words_places_count = COUNT(words_places);
const char *const words_apps[] = {"Practice Web App", "Practice for iPhone",
                                  "Practice for Android", "Tide & Time Scheduler"};
const size_t words_apps_count = COUNT(words_apps);
const char *const words_alts[] = {"A grey harbour at dawn, two boats",
                                  "Chart: water level < 2 m & falling", "夜の列車 🚆",
                                  "Close-up of a \"keep left\" sign"};
const size_t words_alts_count = COUNT(words_alts);
