//! Interests, by their paths. Sizes are thousands of people.

use super::detailed::Group;

macro_rules! interests {
    ($($path:expr => $rows:expr,)*) => { &[$(Group { kind: "interests", path: $path, rows: $rows }),*] };
}

pub(super) const GROUPS: &[Group] = interests! {
    &["Interests", "Business and industry"] => &[
        ("Advertising", 612_000), ("Agriculture", 481_000), ("Architecture", 402_000), ("Aviation", 288_000),
        ("Banking", 455_000), ("Construction", 371_000), ("Design", 702_000), ("Economics", 210_000),
        ("Engineering", 390_000), ("Entrepreneurship", 640_000), ("Health care", 350_000), ("Management", 330_000),
        ("Marketing", 560_000), ("Nursing", 150_000), ("Real estate", 520_000), ("Retail", 610_000),
        ("Sales", 300_000), ("Science", 480_000), ("Small business", 410_000),
    ],
    &["Interests", "Business and industry", "Online"] => &[
        ("Digital marketing", 245_000), ("Display advertising", 88_000), ("Email marketing", 120_000),
        ("Online advertising", 190_000), ("Search engine optimization", 98_000), ("Social media marketing", 205_000),
        ("Web design", 160_000), ("Web hosting", 90_000),
    ],
    &["Interests", "Entertainment", "Games"] => &[
        ("Action games", 510_000), ("Board games", 205_000), ("Card games", 260_000), ("First-person shooter games", 190_000),
        ("Online games", 720_000), ("Puzzle video games", 310_000), ("Racing games", 245_000),
        ("Role-playing games", 280_000), ("Simulation games", 170_000), ("Sports games", 330_000),
    ],
    &["Interests", "Entertainment", "Movies"] => &[
        ("Action movies", 620_000), ("Animated movies", 480_000), ("Bollywood movies", 300_000),
        ("Comedy movies", 650_000), ("Documentary movies", 240_000), ("Drama movies", 430_000),
        ("Fantasy movies", 310_000), ("Horror movies", 270_000), ("Science fiction movies", 340_000),
    ],
    &["Interests", "Entertainment"] => &[
        ("Movies", 1_480_000), ("Music", 1_650_000), ("Reading", 880_000), ("Television", 1_120_000), ("Live events", 540_000),
    ],
    &["Interests", "Entertainment", "Music"] => &[
        ("Blues music", 160_000), ("Classical music", 320_000), ("Country music", 260_000), ("Dance music", 510_000),
        ("Electronic music", 480_000), ("Heavy metal music", 250_000), ("Hip hop music", 590_000), ("Jazz music", 280_000),
        ("Pop music", 830_000), ("Rock music", 680_000), ("Soul music", 210_000),
    ],
    &["Interests", "Entertainment", "Reading"] => &[
        ("Books", 760_000), ("Comics", 290_000), ("E-books", 230_000), ("Fiction books", 310_000),
        ("Literature", 350_000), ("Magazines", 420_000), ("Newspapers", 380_000), ("Romance novels", 130_000),
    ],
    &["Interests", "Family and relationships"] => &[
        ("Dating", 510_000), ("Family", 1_150_000), ("Fatherhood", 240_000), ("Friendship", 690_000),
        ("Marriage", 480_000), ("Motherhood", 520_000), ("Parenting", 560_000), ("Weddings", 460_000),
    ],
    &["Interests", "Fitness and wellness"] => &[
        ("Bodybuilding", 290_000), ("Meditation", 330_000), ("Physical exercise", 610_000), ("Physical fitness", 740_000),
        ("Running", 520_000), ("Weight training", 280_000), ("Yoga", 380_000), ("Marathons", 140_000),
    ],
    &["Interests", "Food and drink", "Beverages"] => &[
        ("Beer", 350_000), ("Coffee", 690_000), ("Distilled beverage", 210_000), ("Energy drinks", 240_000),
        ("Juice", 300_000), ("Soft drinks", 330_000), ("Tea", 430_000), ("Wine", 390_000),
    ],
    &["Interests", "Food and drink", "Cooking"] => &[
        ("Baking", 340_000), ("Cooking", 780_000), ("Recipes", 650_000), ("Barbecue", 260_000),
    ],
    &["Interests", "Food and drink", "Cuisine"] => &[
        ("Chinese cuisine", 250_000), ("French cuisine", 180_000), ("German cuisine", 90_000), ("Indian cuisine", 310_000),
        ("Italian cuisine", 360_000), ("Japanese cuisine", 290_000), ("Mexican cuisine", 280_000), ("Thai food", 170_000),
    ],
    &["Interests", "Food and drink", "Food"] => &[
        ("Chocolate", 460_000), ("Desserts", 420_000), ("Fast food", 560_000), ("Organic food", 230_000),
        ("Pizza", 480_000), ("Seafood", 310_000), ("Veganism", 190_000), ("Vegetarianism", 220_000),
    ],
    &["Interests", "Hobbies and activities", "Arts and music"] => &[
        ("Acting", 270_000), ("Crafts", 490_000), ("Dance", 640_000), ("Drawing", 410_000), ("Fine art", 240_000),
        ("Guitar", 320_000), ("Painting", 390_000), ("Photography", 870_000), ("Sculpture", 140_000), ("Singing", 430_000),
    ],
    &["Interests", "Hobbies and activities", "Home and garden"] => &[
        ("Do it yourself (DIY)", 390_000), ("Furniture", 530_000), ("Gardening", 420_000), ("Home appliances", 380_000),
        ("Home improvement", 350_000), ("Interior design", 410_000),
    ],
    &["Interests", "Hobbies and activities", "Pets"] => &[
        ("Birds", 260_000), ("Cats", 540_000), ("Dogs", 720_000), ("Fish", 210_000), ("Horses", 230_000),
        ("Pet food", 180_000), ("Rabbits", 120_000),
    ],
    &["Interests", "Hobbies and activities", "Travel"] => &[
        ("Adventure travel", 290_000), ("Air travel", 380_000), ("Beaches", 560_000), ("Car rentals", 150_000),
        ("Cruises", 170_000), ("Ecotourism", 110_000), ("Hotels", 520_000), ("Lakes", 180_000), ("Mountains", 310_000),
        ("Nature", 690_000), ("Theme parks", 240_000), ("Tourism", 490_000), ("Vacations", 600_000),
    ],
    &["Interests", "Hobbies and activities", "Vehicles"] => &[
        ("Automobiles", 880_000), ("Boats", 210_000), ("Electric vehicle", 190_000), ("Motorcycles", 430_000),
        ("Scooters", 160_000), ("Trucks", 250_000),
    ],
    &["Interests", "Shopping and fashion"] => &[
        ("Boutiques", 310_000), ("Coupons", 290_000), ("Discount stores", 350_000), ("Luxury goods", 370_000),
        ("Online shopping", 910_000), ("Shopping", 1_240_000), ("Shopping malls", 470_000),
    ],
    &["Interests", "Shopping and fashion", "Beauty"] => &[
        ("Beauty salons", 360_000), ("Cosmetics", 640_000), ("Fragrances", 330_000), ("Hair products", 350_000),
        ("Spas", 280_000), ("Tattoos", 310_000),
    ],
    &["Interests", "Shopping and fashion", "Clothing"] => &[
        ("Children's clothing", 290_000), ("Men's clothing", 410_000), ("Shoes", 680_000), ("Women's clothing", 560_000),
        ("Handbags", 340_000), ("Jewelry", 490_000), ("Sunglasses", 210_000), ("Outerwear", 130_000),
    ],
    &["Interests", "Sports and outdoors", "Outdoor recreation"] => &[
        ("Boating", 160_000), ("Camping", 310_000), ("Fishing", 320_000), ("Hiking", 290_000), ("Horseback riding", 120_000),
        ("Hunting", 180_000), ("Mountain biking", 190_000), ("Surfing", 210_000), ("Trail running", 60_000),
    ],
    &["Interests", "Sports and outdoors", "Sports"] => &[
        ("American football", 340_000), ("Association football (Soccer)", 990_000), ("Auto racing", 260_000),
        ("Baseball", 290_000), ("Basketball", 480_000), ("College football", 110_000), ("Golf", 230_000),
        ("Skiing", 170_000), ("Snowboarding", 130_000), ("Swimming", 340_000), ("Tennis", 280_000),
        ("Triathlons", 70_000), ("Volleyball", 300_000), ("Winter sports", 150_000), ("Cycling", 310_000),
    ],
    &["Interests", "Technology"] => &[
        ("Audio equipment", 230_000), ("Camcorders", 90_000), ("Cameras", 380_000), ("Computer memory", 80_000),
        ("Computers", 610_000), ("Consumer electronics", 540_000), ("E-book readers", 70_000), ("GPS devices", 110_000),
        ("Mobile phones", 860_000), ("Smartphones", 810_000), ("Software", 450_000), ("Tablet computers", 260_000),
        ("Televisions", 290_000), ("Video games", 790_000), ("Smart home", 120_000),
    ],
};
