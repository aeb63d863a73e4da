"""The forms that are read; apart, for the command line to list them without their readers."""

# By name: what an export of the form is known by.
FORMS = {
    "voc": "Pascal VOC, CVAT's segmentation mask 1.1: SegmentationClass/, JPEGImages/, labelmap.txt",
    "cvat": "CVAT for images 1.1: annotations.xml",
    "roboflow": "Roboflow's semantic segmentation masks: _classes.csv, NAME_mask.png",
    "supervisely": "Supervisely: meta.json, DATASET/img/, DATASET/ann/ or DATASET/masks_machine/",
    "label_studio": "Label Studio: JSON of tasks, or task-1-annotation-2-...png of its brush",
    "labelme": "Labelme: NAME.json with shapes and imagePath",
    "coco": "COCO: JSON with images, annotations and categories",
    "coco_panoptic": "COCO panoptic: the same with segments_info, and PNG files",
    "yolo": "YOLO segmentation: data.yaml with names, images/, labels/NAME.txt",
    "cityscapes": "polygons as in Cityscapes: NAME_gtFine_polygons.json, leftImg8bit/",
    "ade20k": "ADE20K: images/training/, annotations/training/",
    "mapillary": "Mapillary Vistas: config_v2.0.json, training/images/, training/v2.0/labels/",
    "mmsegmentation": "MMSegmentation: img_dir/, ann_dir/",
    "lists": "lists of lines `image mask`: train.txt, val.txt",
}
