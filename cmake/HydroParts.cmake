# The libraries that hydrod stands on; each as a target HydroParts::name.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(hydro_part name module)
  pkg_check_modules(PART_${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(HydroParts::${name} ALIAS PkgConfig::PART_${name})
endfunction()

hydro_part(lua lua5.4)
hydro_part(microhttpd libmicrohttpd)
hydro_part(curl libcurl)
hydro_part(cjson libcjson)
hydro_part(sqlite sqlite3)
hydro_part(sodium libsodium)
hydro_part(zstd libzstd)
hydro_part(zlib zlib)
