/**
 * The client of runsvc: {@link io.github.runsvc.client.RunClient}, over the generated code of
 * {@code io.github.runsvc.v1}.
 */
package io.github.runsvc.client;
