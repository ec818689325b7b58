# hydro_add_plugin(name KIND provider|sink|analytics SOURCES a.c … [LIBS …] [CONFORMANCE options.json] [FIXTURE])
#
# Builds the target plugin_<name>, a module <name>.so in <build>/plugins that exports hydro_plugin_entry alone: everything else is hidden, symbols
# left undefined and symbols exported besides are errors of the build. Adds the test conformance_<name>, which runs hydro-conformance on it, with
# the options of CONFORMANCE or of a conformance.json beside the caller's CMakeLists.txt. FIXTURE: into <build>/fixtures, none of these checks.
#
# Inside hydrod's tree this file is included; outside it comes with find_package(HydroPlugin), and hydro_install_plugin(name) puts the module
# where hydrod looks for plugins.
set(HYDRO_PLUGIN_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

function(hydro_add_plugin name)
  cmake_parse_arguments(P "FIXTURE" "KIND;CONFORMANCE" "SOURCES;LIBS" ${ARGN})
  if(NOT P_KIND MATCHES "^(provider|sink|analytics)$")
    message(FATAL_ERROR "hydro_add_plugin(${name}): KIND is \"${P_KIND}\", must be provider, sink or analytics")
  endif()
  if(P_UNPARSED_ARGUMENTS OR NOT P_SOURCES)
    message(FATAL_ERROR "hydro_add_plugin(${name}): SOURCES missing, or arguments not understood: ${P_UNPARSED_ARGUMENTS}")
  endif()
  add_library(plugin_${name} MODULE ${P_SOURCES})
  if(NOT P_FIXTURE)
    if(NOT TARGET all-plugins)
      add_custom_target(all-plugins)
    endif()
    add_dependencies(all-plugins plugin_${name})
  endif()
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/$<IF:$<BOOL:${P_FIXTURE}>,fixtures,plugins>)
  if(TARGET HydroPlugin::sdk)
    target_link_libraries(plugin_${name} PRIVATE HydroPlugin::sdk ${P_LIBS})
    target_compile_definitions(plugin_${name} PRIVATE _GNU_SOURCE)
  else()
    target_include_directories(plugin_${name} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
    target_link_libraries(plugin_${name} PRIVATE hydro_flags ${P_LIBS})
  endif()
  if(NOT HYDRO_SANITIZE)
    target_link_options(plugin_${name} PRIVATE -Wl,-z,defs)
  endif()
  if(NOT P_FIXTURE)
    add_custom_command(TARGET plugin_${name} POST_BUILD VERBATIM
      COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DPLUGIN=$<TARGET_FILE:plugin_${name}> -P ${HYDRO_PLUGIN_CMAKE_DIR}/CheckExports.cmake)
    _hydro_conformance_test(${name} "${P_CONFORMANCE}")
  endif()
endfunction()

function(_hydro_conformance_test name options)
  if(TARGET HydroPlugin::hydro-conformance)
    set(tool $<TARGET_FILE:HydroPlugin::hydro-conformance>)
  elseif(EXISTS ${CMAKE_SOURCE_DIR}/tests/conformance/CMakeLists.txt)
    set(tool $<TARGET_FILE:hydro-conformance>)
  else()
    return()
  endif()
  if(NOT options AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/conformance.json)
    set(options ${CMAKE_CURRENT_SOURCE_DIR}/conformance.json)
  endif()
  set(given)
  if(options)
    set(given --options ${options})
  endif()
  add_test(NAME conformance_${name} COMMAND ${tool} ${given} $<TARGET_FILE:plugin_${name}>)
  set_tests_properties(conformance_${name} PROPERTIES LABELS "conformance" TIMEOUT 600)
endfunction()

# Installs a plugin built outside hydrod's tree beside hydrod's own.
function(hydro_install_plugin name)
  include(GNUInstallDirs)
  install(TARGETS plugin_${name} LIBRARY DESTINATION lib/hydrod/plugins)
endfunction()
