/** What a channel is called. */

/** Its name; a direct message is called after whom it is with. */
export function channelLabel(channel, store) {
  if (!channel.is_im) return channel.name;
  const other = channel.members.find((member) => member !== store.me);
  return store.users.get(other ?? store.botUser)?.real_name ?? "Direct message";
}

/** Its name as people write it: a channel's with the sign before it. */
export function channelSign(channel, store) {
  return `${channel.is_im ? "" : "#"}${channelLabel(channel, store)}`;
}
