/** The current channel's menu: invite or remove the bot, archive or unarchive the channel. */

import { byId } from "./dom.js";
import { openMenu } from "./menu.js";

/** Opens the menu under the button in the channel's header; a direct message has none. */
export function showChannelMenu(desk) {
  const { store, place } = desk;
  const opener = byId("channel-menu");
  const here = () => store.channels.get(place.channel);
  const draw = () => {
    opener.hidden = !here() || here().is_im;
  };
  opener.addEventListener("click", () => {
    const bot = store.users.get(store.botUser)?.real_name ?? "the bot";
    openMenu(opener, optionsOf(here(), bot), ({ step }) => desk.changeChannel(step));
  });
  store.subscribe(["channels"], draw);
  place.subscribe(draw);
}

/** Returns the steps that are possible in the channel's current state. */
function optionsOf(channel, bot) {
  if (channel.is_archived) return [option("unarchive", "Take out of the archive", "People can write here again")];
  return [
    channel.has_bot
      ? option("remove", `Remove ${bot}`, "It won't be able to post here")
      : option("invite", `Invite ${bot}`, "It can post here from then on"),
    option("archive", "Archive this channel", "It becomes read-only"),
  ];
}

function option(step, text, description) {
  return { step, text: { text }, description: { text: description } };
}
