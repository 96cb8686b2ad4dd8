/** Names of channels. */

/** Returns a channel's name; for a direct message, the other person's. */
export function channelLabel(channel, store) {
  if (!channel.is_im) return channel.name;
  const other = channel.members.find((member) => member !== store.me);
  return store.users.get(other ?? store.botUser)?.real_name ?? "Direct message";
}

/** Returns a channel's name as people write it, with the sign in front. */
export function channelSign(channel, store) {
  return `${channel.is_im ? "" : "#"}${channelLabel(channel, store)}`;
}
