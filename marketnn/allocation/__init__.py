"""Where the next unit of money, contact or stock should go, with a certificate of how good the answer is."""

from marketnn.allocation.adstock import GeometricAdstock
from marketnn.allocation.assignment import AssignmentResult, assign_offers
from marketnn.allocation.budget import BudgetResult, allocate_budget
from marketnn.allocation.cobb_douglas import CobbDouglasDemand, CobbDouglasFit, fit_cobb_douglas
from marketnn.allocation.cost import MarketingCost
from marketnn.allocation.curves import CurveSet, ExponentialCurve, HillCurve, LogCurve, PowerCurve
from marketnn.allocation.fit_response import ResponseFit, fit_response
from marketnn.allocation.launch_set import LaunchSet, choose_launch_set
from marketnn.allocation.plan import PlanResult, plan_budget
from marketnn.allocation.plan_scenarios import MeanCurve, plan_outcomes
from marketnn.allocation.profit import ProfitPlan, maximise_profit
from marketnn.allocation.projects import ProjectComparison, compare_projects
from marketnn.allocation.resource import ResourceAllocation, allocate_resource
from marketnn.allocation.resource_budget import ResourceBudgetResult, allocate_resources
from marketnn.allocation.scenario_budget import ScenarioBudgets, allocate_mean, allocate_scenarios
from marketnn.allocation.target_budget import LeastBudget, least_budget
from marketnn.allocation.two_projects import ProjectIntroduction, introduce_project

__all__ = [
    "AssignmentResult",
    "BudgetResult",
    "CobbDouglasDemand",
    "CobbDouglasFit",
    "CurveSet",
    "ExponentialCurve",
    "GeometricAdstock",
    "HillCurve",
    "LaunchSet",
    "LeastBudget",
    "LogCurve",
    "MarketingCost",
    "MeanCurve",
    "PlanResult",
    "PowerCurve",
    "ProfitPlan",
    "ProjectComparison",
    "ProjectIntroduction",
    "ResourceAllocation",
    "ResourceBudgetResult",
    "ResponseFit",
    "ScenarioBudgets",
    "allocate_budget",
    "allocate_mean",
    "allocate_resource",
    "allocate_resources",
    "allocate_scenarios",
    "assign_offers",
    "choose_launch_set",
    "compare_projects",
    "fit_cobb_douglas",
    "fit_response",
    "introduce_project",
    "least_budget",
    "maximise_profit",
    "plan_budget",
    "plan_outcomes",
]
