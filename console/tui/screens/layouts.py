"""Where the parts of the screens stand in every size of the terminal; what a widget looks like is said in the widget.

These are default styles of the screens, which are parsed when a screen first comes; a style sheet of the app would be
parsed as a whole before the first frame.
"""

from __future__ import annotations

from typing import Final

TRIAGE: Final = """
#triage-empty { display: none; width: 1fr; height: 1fr; content-align: center middle; }
#triage-facts { height: 9; }
TriageScreen.-short #triage-rule, TriageScreen.-short #triage-facts { display: none; }
TriageScreen.-nothing #triage-list, TriageScreen.-nothing #triage-rule { display: none; }
TriageScreen.-nothing #triage-facts { display: none; }
TriageScreen.-nothing #triage-empty { display: block; }
"""

RUNS: Final = """
#runs-body { height: 1fr; }
#runs-left { width: 1fr; }
#runs-side { width: 2fr; display: none; padding-left: 1; }
#runs-empty { display: none; width: 1fr; height: 1fr; content-align: center middle; }
#runs-card { height: 2; background: $surface; }

RunsScreen.-normal #runs-left { width: 3fr; }
RunsScreen.-wide #runs-left { width: 5fr; }
RunsScreen.-wide #runs-side { width: 3fr; }
RunsScreen.-normal #runs-side, RunsScreen.-wide #runs-side { display: block; }
RunsScreen.-normal #runs-card, RunsScreen.-wide #runs-card { display: none; }
RunsScreen.-short #runs-facts, RunsScreen.-short #facts-rule { display: none; }
RunsScreen.-no-runs #runs-table, RunsScreen.-no-runs #runs-side, RunsScreen.-no-runs #runs-card { display: none; }
RunsScreen.-no-runs #runs-empty { display: block; }
"""

PROJECTS: Final = """
#projects-table { height: 1fr; }
#project-scroll { height: 2fr; scrollbar-size-vertical: 1; }
#project-detail { height: auto; }
ProjectsScreen.-short #projects-table { height: 8; }
ProjectsScreen.-short #project-scroll { height: 1fr; }
"""

RUN: Final = """
#run-head { height: auto; max-height: 8; }
#run-middle { height: 1fr; }
#run-left { width: 44; padding-right: 1; }
#run-right { width: 1fr; }
#run-metrics { height: 1fr; }
#run-params { height: auto; max-height: 8; }
#log-pane { height: 1fr; }
#run-log { padding: 0 0 0 1; }

RunScreen.-compact #run-left { width: 36; }
RunScreen.-wide #run-left { width: 60; }
RunScreen.-short #run-head { max-height: 3; }
RunScreen.-short #run-middle { height: 9; }
RunScreen.-short #run-params, RunScreen.-short #params-rule { display: none; }

RunScreen.-zoom-log #run-head, RunScreen.-zoom-log #run-middle { display: none; }
RunScreen.-zoom-chart #run-head, RunScreen.-zoom-chart #run-left, RunScreen.-zoom-chart #log-pane { display: none; }
RunScreen.-zoom-chart #run-middle { height: 1fr; }
"""
