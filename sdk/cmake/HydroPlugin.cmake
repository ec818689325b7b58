# hydro_add_plugin(name KIND provider|sink|analytics SOURCES a.c … [LIBS …]): a plugin as <name>.so, one exported symbol.
function(hydro_add_plugin name)
  cmake_parse_arguments(P "FIXTURE" "KIND" "SOURCES;LIBS" ${ARGN})
  add_library(plugin_${name} MODULE ${P_SOURCES})
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name} C_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/$<IF:$<BOOL:${P_FIXTURE}>,fixtures,plugins>)
  target_include_directories(plugin_${name} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
  target_link_libraries(plugin_${name} PRIVATE hydro_flags ${P_LIBS})
  if(NOT HYDRO_SANITIZE)
    target_link_options(plugin_${name} PRIVATE -Wl,-z,defs)
  endif()
endfunction()
