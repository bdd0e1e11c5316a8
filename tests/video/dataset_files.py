"""Small annotation files in each dataset's published layout, and videos (empty files) where the dataset has them."""

import json
from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, files: Mapping[str, object]) -> Path:
    """Write text as it is, anything else as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def youcook2(*, segment: object = (90, 102), subset: str = "training") -> dict[str, object]:
    steps = [
        {"segment": segment, "id": 0, "sentence": "spread margarine on two slices of white bread"},
        {"segment": [114, 127], "id": 1, "sentence": "place a slice of cheese on the bread"},
    ]
    first = {"duration": 241.62, "subset": subset, "recipe_type": "113", "annotations": steps}
    second = {"duration": 206.86, "subset": "validation", "recipe_type": "226", "annotations": steps[1:]}
    return {"database": {"GLd3aX16zBg": first, "xHr8X2Wpmno": second}}


COIN = {
    "database": {
        "LtRSn-ntcLY": {
            "duration": 131.0309,
            "class": "ReplaceCDDriveWithSSD",
            "video_url": "https://www.youtube.com/embed/LtRSn-ntcLY",
            "start": 56.64,
            "annotation": [
                {"id": "212", "segment": [60.0, 69.0], "label": "take out the laptop CD drive"},
                {"id": "216", "segment": [71.0, 82.0], "label": "insert the hard disk tray"},
            ],
            "subset": "training",
            "end": 85.71,
            "recipe_type": 131,
        },
        "aBcDeFgHi_1": {"class": "MakePizza", "subset": "testing", "recipe_type": 3, "annotation": []},
    }
}
ACTIVITYNET_TRAIN = {
    "v_QOlSCBRmfWY": {
        "duration": 82.73,
        "timestamps": [[0.83, 19.86], [17.37, 60.81], [56.26, 79.42]],
        "sentences": ["A young woman stands.", " The girl dances.", " She ends."],
    }
}
ACTIVITYNET_VAL = {
    "v_uqiMw7tQ1Cc": {
        "duration": 55.15,
        "timestamps": [[0, 4.14], [4.14, 55.16]],
        "sentences": ["Two men.", "One."],
    }
}
MSRVTT = {
    "info": {"year": "2016"},
    "videos": [
        {
            "category": 9,
            "url": "https://x",
            "video_id": "video0",
            "start time": 137.72,
            "end time": 149.44,
            "split": "train",
            "id": 0,
        },
        {
            "category": 16,
            "url": "https://x",
            "video_id": "video1",
            "start time": 184.33,
            "end time": 194.96,
            "split": "validate",
            "id": 1,
        },
        {
            "category": 9,
            "url": "https://x",
            "video_id": "video9770",
            "start time": 1.0,
            "end time": 9.0,
            "split": "train",
            "id": 2,
        },
    ],
    "sentences": [
        {"caption": "a cartoon animals runs", "video_id": "video0", "sen_id": 0},
        {"caption": "a cartoon character runs", "video_id": "video0", "sen_id": 1},
        {"caption": "a woman is cooking", "video_id": "video1", "sen_id": 2},
        {"caption": "a person connects things", "video_id": "video9770", "sen_id": 3},
    ],
}
MSRVTT_TEST = (
    "key,vid_key,video_id,sentence\nret0,msr9770,video9770,a person is connecting something to system\n"
)
MSVD_TEXT = """\
# Descriptions of the videos

mv89psg6zh4_33_46 a bird is bathing in a sink
mv89psg6zh4_33_46 a faucet is running while a bird stands
-4wsuPCjDBc_5_15 a squirrel is eating a peanut
"""
MSVD_CSV = """\
VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description
mv89psg6zh4,33,46,588702,unverified,55,Slovene,Papagaj se umiva.
mv89psg6zh4,33,46,362812,unverified,30,English,"A bird, bathing in a sink."
-4wsuPCjDBc,5,15,968828,unverified,45,English,
"""
CROSSTASK = {
    "tasks_primary.txt": (
        "23521\nMake Jello Shots\nhttps://www.wikihow.com/Make-Jello-Shots\n3\npour water,add jello,pour jello\n\n"
        "59684\nBuild Simple Floating Shelves\nhttps://x\n2\ncut shelve,sand shelve\n\n"
    ),
    "tasks_related.txt": "1373\nMake a Jello Cake\nhttps://x\n1\nadd jello\n\n",
    "videos.csv": (
        "23521,0JMdTEx8Otk,https://www.youtube.com/watch?v=0JMdTEx8Otk\n"
        "59684,zzMdTEx8Otk,https://www.youtube.com/watch?v=zzMdTEx8Otk\n"
        "1373,yyMdTEx8Otk,https://www.youtube.com/watch?v=yyMdTEx8Otk\n"
    ),
    "videos_val.csv": "59684,zzMdTEx8Otk,https://www.youtube.com/watch?v=zzMdTEx8Otk\n",
    "annotations/23521_0JMdTEx8Otk.csv": "1,14.07,20.33\n2,22.37,35.47\n2,50,40\n",
    "annotations/59684_zzMdTEx8Otk.csv": "2,3.5,8\n",
}
KINETICS_TRAIN = "label,youtube_id,time_start,time_end,split\ntestifying,---QUuC4vJs,84,94,train\nabseiling,_4YTwq0-73Y,1,11,train\n"
KINETICS_TEST = "youtube_id,time_start,time_end,split\n--6bJUbfpnQ,17,27,test\n"
SSV2_TRAIN = [
    {
        "id": "78687",
        "label": "holding potato next to vicks vaporub bottle",
        "template": "Holding [something] next to [something]",
        "placeholders": ["potato", "vicks vaporub bottle"],
    },
    {
        "id": "42326",
        "label": "putting a white remote into a cardboard box",
        "template": "Putting [something] into [something]",
        "placeholders": ["a white remote", "a cardboard box"],
    },
]
SSV2_LABELS = {"Holding something next to something": "45", "Putting something into something": "105"}
EPIC_TRAIN = """\
narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
P01_01_0,P01,P01_01,00:00:01.089,00:00:00.14,00:00:03.37,8,202,open door,open,3,door,3,['door'],[3]
P01_01_1,P01,P01_01,00:00:02.629,00:01:04.37,00:01:06.17,262,370,turn on light,turn-on,6,light,114,['light'],[114]
P02_103_7,P02,P02_103,00:00:02.629,00:00:04.37,00:00:04.17,262,370,"take knife, plate",take,0,knife,4,"['knife', 'plate']","[4, 2]"
"""
EPIC_TEST = """\
narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame
P01_101_0,P01,P01_101,00:00:02.851,00:00:02.86,00:00:03.87,143,193
"""
HOWTO100M = """\
video_id,category_1,category_2,rank,task_id
nVbIUDjzWY4,Cars & Other Vehicles,Motorcycles,27,52907
CTPAZ2euJ2Q,Food and Entertaining,Recipes,12,105253
_97f1Db99pI,Food and Entertaining,Recipes,13,105253
"""
HOWTO100M_CAPTIONS = {
    "CTPAZ2euJ2Q": {"start": [0.0, 2.5], "end": [2.5, 6.0], "text": ["now we cut the onion", "and fry it"]},
    "nVbIUDjzWY4": {"start": [1.0], "end": [3.0], "text": ["open the tank"]},
}
MINING = "\ufeff1\r\n00:01:15,277 --> 00:01:23,517\r\ncrack_eggs\r\n\r\n2\r\n00:01:25,618 --> 00:01:31,424\r\npour_egg_whites\r\n\r\n"
