# A shell and its tools for the tests' pods; BUILDER has Debian's static BusyBox.
ARG BUILDER
FROM ${BUILDER} AS tools
RUN mkdir -p /image/bin && cp /bin/busybox /image/bin/ \
    && for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "/image/bin/$applet"; done

FROM scratch
COPY --from=tools /image/ /
ENV PATH=/bin
USER 65532:65532
CMD ["sh"]
