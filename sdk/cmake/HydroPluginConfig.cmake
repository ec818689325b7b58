# find_package(HydroPlugin): hydro_add_plugin, hydro_install_plugin, and the targets HydroPlugin::sdk (headers), HydroPlugin::hydro_testkit and
# HydroPlugin::hydro-conformance.
include(${CMAKE_CURRENT_LIST_DIR}/HydroPluginTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/HydroPlugin.cmake)
