/**
 * The client of runsvc. Start with {@link io.github.runsvc.client.RunClient}. The requests and
 * responses are in {@link io.github.runsvc.v1}.
 */
package io.github.runsvc.client;
