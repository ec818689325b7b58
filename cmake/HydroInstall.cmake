# What `cmake --install` puts where, beside the SDK (component sdk): programs, plugins, pipelines, manual pages, completion, the service.
include(GNUInstallDirs)
# Not CMAKE_INSTALL_LIBDIR: on Debian that is the architecture's own, and these are not libraries to link with.
set(HYDRO_PLUGIN_DESTINATION lib/hydrod/plugins)
set(HYDRO_PIPELINE_DESTINATION ${CMAKE_INSTALL_DATADIR}/hydrod/pipelines)

# Manual pages: two come from the tables of the programs, two are written by hand.
set(HYDRO_MAN_DIR ${CMAKE_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${HYDRO_MAN_DIR})
set(pages)
foreach(page hydroctl.1 hydro.lua.5)
  string(REGEX REPLACE "\\.[0-9]$" "" name ${page})
  add_custom_command(OUTPUT ${HYDRO_MAN_DIR}/${page} DEPENDS hydroctl VERBATIM
    COMMAND hydroctl man ${name} > ${HYDRO_MAN_DIR}/${page}.new
    COMMAND ${CMAKE_COMMAND} -E rename ${HYDRO_MAN_DIR}/${page}.new ${HYDRO_MAN_DIR}/${page})
  list(APPEND pages ${HYDRO_MAN_DIR}/${page})
endforeach()
add_custom_command(OUTPUT ${HYDRO_MAN_DIR}/hydroctl.bash DEPENDS hydroctl VERBATIM
  COMMAND hydroctl completion bash > ${HYDRO_MAN_DIR}/hydroctl.bash.new
  COMMAND ${CMAKE_COMMAND} -E rename ${HYDRO_MAN_DIR}/hydroctl.bash.new ${HYDRO_MAN_DIR}/hydroctl.bash)
add_custom_target(man ALL DEPENDS ${pages} ${HYDRO_MAN_DIR}/hydroctl.bash)
foreach(page hydrod.8 hydro-runner.1)
  configure_file(${CMAKE_SOURCE_DIR}/docs/man/${page} ${HYDRO_MAN_DIR}/${page} @ONLY)
endforeach()

install(TARGETS hydrod hydroctl DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT daemon)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/scripts/lua/pipelines/ DESTINATION ${HYDRO_PIPELINE_DESTINATION} COMPONENT daemon)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/scripts/lua/lib DESTINATION ${HYDRO_PIPELINE_DESTINATION}/.. COMPONENT daemon)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/scripts/lua/examples DESTINATION ${CMAKE_INSTALL_DATADIR}/hydrod COMPONENT daemon)
install(FILES ${CMAKE_SOURCE_DIR}/scripts/lua/hydro.d.lua DESTINATION ${CMAKE_INSTALL_DATADIR}/hydrod COMPONENT daemon)
install(FILES ${HYDRO_MAN_DIR}/hydroctl.1 ${HYDRO_MAN_DIR}/hydro-runner.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT daemon)
install(FILES ${HYDRO_MAN_DIR}/hydro.lua.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 COMPONENT daemon)
install(FILES ${HYDRO_MAN_DIR}/hydrod.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT daemon)
install(FILES ${HYDRO_MAN_DIR}/hydroctl.bash RENAME hydroctl DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT daemon)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT daemon)

# The plugins that are ours: not the SDK's example, which is there to be copied.
foreach(name twin nettra novus http_json dga)
  if(TARGET plugin_${name})
    install(TARGETS plugin_${name} LIBRARY DESTINATION ${HYDRO_PLUGIN_DESTINATION} COMPONENT daemon)
  endif()
endforeach()

# Files with the prefix in them are made when it is known, at the install: `--prefix` may be another than the configured one.
set(HYDRO_INSTALL_FROM ${CMAKE_SOURCE_DIR}/deploy)
install(CODE "
  set(CMAKE_INSTALL_FULL_BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  set(HYDRO_PLUGIN_DIR \"\${CMAKE_INSTALL_PREFIX}/${HYDRO_PLUGIN_DESTINATION}\")
  set(HYDRO_PIPELINE_DIR \"\${CMAKE_INSTALL_PREFIX}/${HYDRO_PIPELINE_DESTINATION}\")
  configure_file(\"${HYDRO_INSTALL_FROM}/systemd/hydrod.service.in\" \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/hydrod.service\" @ONLY)
  configure_file(\"${HYDRO_INSTALL_FROM}/hydro.lua\" \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}/examples/hydro.lua\" @ONLY)
  " COMPONENT daemon)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/hydrod.sysusers RENAME hydrod.conf DESTINATION lib/sysusers.d COMPONENT daemon)
