from harness.api import bench as bench
from harness.api import compare as compare
from harness.api import doctor as doctor
from harness.api import evaluate as evaluate
from harness.api import figure as figure
from harness.api import keep_images as keep_images
from harness.api import load_results as load_results
from harness.api import plan as plan
from harness.api import report as report
from harness.api import restore as restore
from harness.api import run as run
from harness.api import score as score
from harness.api import table as table
from harness.api import tune as tune

__version__: str
