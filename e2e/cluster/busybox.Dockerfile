# A shell and its tools for the tests' pods: Debian's BusyBox and the libraries that it needs. The static one cannot ask a DNS server:
# glibc loads what that takes while it runs.
ARG BUILDER
FROM ${BUILDER} AS tools
RUN mkdir -p /image/bin && cp /bin/busybox /image/bin/ \
    && ldd /bin/busybox | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory /image \
    && for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "/image/bin/$applet"; done

FROM scratch
COPY --from=tools /image/ /
ENV PATH=/bin
USER 65532:65532
CMD ["sh"]
