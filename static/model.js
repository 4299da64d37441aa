// model.js: the threads of this user and how events change them. Pure: no page, no network.

const NAMES_MAX = 5_000;
const MEMBERS_SHOWN_MAX = 50;   // as many as the server puts into a thread

/** Of two tellings of a message the one that is further on: deleting is final, a later edit wins. An answer may be older than an event. */
export function laterOf(known, told) {
  if (!known || told.deleted_at) return told;
  if (known.deleted_at || (known.edited_at ?? '') > (told.edited_at ?? '')) return known;
  return told;
}

export class Model {
  threads = new Map();
  #names = new Map();

  constructor(me) {
    this.me = me;
    this.learn([me]);
  }

  learn(people) {
    for (const { user_id, name } of people) {
      if (this.#names.size < NAMES_MAX || this.#names.has(user_id)) this.#names.set(user_id, name || user_id);
    }
  }

  nameOf(user_id) { return this.#names.get(user_id) ?? user_id; }

  titleOf(thread) {
    if (thread.title) return thread.title;
    const others = thread.members.filter(({ user_id }) => user_id !== this.me.user_id);
    const more = thread.member_count - 1 - others.length;
    return others.map(({ user_id }) => this.nameOf(user_id)).join(', ') + (more > 0 ? ` and ${more} more` : '') || 'Only you';
  }

  /** Takes a thread as REST tells it, unless events have already brought us further. */
  put(thread) {
    const known = this.threads.get(thread.thread_id);
    if (known && known.sequence > thread.sequence) return known;
    this.learn(thread.members);
    // An event tells of a thread that is new to us, with nothing unread. Only what a member is told by REST has a read marker.
    const whole = { unread: 0, last_message: null, read_sequence: thread.unread === undefined ? thread.sequence : 0, ...known, ...thread };
    if (known && known.read_sequence > whole.read_sequence) {   // read here, and not told yet
      whole.read_sequence = known.read_sequence;
      if ((thread.last_message?.sequence ?? 0) <= known.read_sequence) whole.unread = Math.min(known.unread, whole.unread);   // else something was missed
    }
    this.threads.set(thread.thread_id, whole);
    return whole;
  }

  forget(thread_id) { this.threads.delete(thread_id); }

  /** Newest activity first. */
  inOrder() {
    const at = ({ last_message, created_at }) => last_message?.created_at ?? created_at;
    return [...this.threads.values()].sort((a, b) => (at(a) < at(b) ? 1 : at(a) > at(b) ? -1 : a.thread_id < b.thread_id ? 1 : -1));
  }

  unread() {
    let sum = 0;
    for (const thread of this.threads.values()) sum += thread.unread;
    return sum;
  }

  /** Says what else is to do: 'gone' (show it no more), 'load' (ask REST), or null. */
  apply({ type, thread_id, sequence, data }) {
    const own = data.user_id === this.me.user_id;
    if (type === 'thread.deleted' || (type === 'thread.member_removed' && own)) { this.forget(thread_id); return 'gone'; }
    if (type === 'thread.created') { this.put(data); return null; }
    const thread = this.threads.get(thread_id);
    if (!thread || (type === 'thread.member_added' && own)) return 'load';
    if (sequence <= thread.sequence) return null;   // REST told us already
    thread.sequence = sequence;
    return CHANGES[type]?.call(this, thread, data) ?? null;
  }
}

/** What an event does to its thread, by type. */
const CHANGES = {
  'message.created'(thread, message) {
    thread.last_message = message;
    if (message.author !== this.me.user_id && !message.deleted_at) thread.unread += 1;
  },
  'message.edited'(thread, message) {
    if (thread.last_message?.message_id === message.message_id) thread.last_message = laterOf(thread.last_message, message);
  },
  'message.deleted'(thread, message) {
    if (thread.last_message?.message_id === message.message_id) thread.last_message = message;
    return thread.unread && message.author !== this.me.user_id ? 'load' : null;   // only the server knows if it had been read
  },
  'thread.updated'(thread, { unread, last_message, ...told }) {
    this.learn(told.members);
    Object.assign(thread, told);
  },
  'thread.member_added'(thread, person) {
    this.learn([person]);
    if (thread.members.some(({ user_id }) => user_id === person.user_id)) return;
    thread.member_count += 1;
    if (thread.members.length < MEMBERS_SHOWN_MAX) thread.members = [...thread.members, person];
  },
  'thread.member_removed'(thread, { user_id }) {
    thread.member_count -= 1;
    thread.members = thread.members.filter((member) => member.user_id !== user_id);
  },
};
